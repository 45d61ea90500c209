//! What conntrack(8)'s command line consists of, declared once: commands, options, and which of them go
//! together. Parsing, the checks, the help and the manual page are made from these two lists.
//!
//! The order of [`OPTIONS`] is that of the checks: of several things that are wrong, the first is named.

use Argument::{Maybe, Needed, Never};

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Command {
    List,
    Get,
    Delete,
    Create,
    Add,
    Update,
    Event,
    Flush,
    Count,
    Stats,
    Help,
    Version,
}

/// A command: its names, its letter in the rules of options, and what it does.
pub(crate) struct DeclaredCommand {
    pub(crate) command: Command,
    pub(crate) letter: char,
    /// Long names, the usual one first.
    pub(crate) longs: &'static [&'static str],
    /// What may follow, for the help.
    pub(crate) follows: &'static str,
    pub(crate) doc: &'static str,
}

const fn command(
    command: Command,
    letter: char,
    longs: &'static [&'static str],
    follows: &'static str,
    doc: &'static str,
) -> DeclaredCommand {
    DeclaredCommand {
        command,
        letter,
        longs,
        follows,
        doc,
    }
}

/// All commands but `-R`, which stands alone (`load.rs`).
#[rustfmt::skip]
pub(crate) const COMMANDS: &[DeclaredCommand] = &[
    command(Command::List, 'L', &["dump"], "[TABLE] [OPTIONS]", "List the entries of a table"),
    command(Command::Get, 'G', &["get"], "[TABLE] PARAMETERS", "Show the one entry that has this tuple"),
    command(Command::Delete, 'D', &["delete"], "[TABLE] [PARAMETERS]", "Delete the entries that match, and show them"),
    command(Command::Create, 'I', &["create"], "[TABLE] PARAMETERS", "Make an entry; one that exists is an error"),
    command(Command::Add, 'A', &["add"], "[TABLE] PARAMETERS", "Make an entry; one that exists is not counted"),
    command(Command::Update, 'U', &["update"], "[TABLE] PARAMETERS", "Change the entries that match, and show them"),
    command(Command::Event, 'E', &["event"], "[TABLE] [OPTIONS]", "Show what happens to the table as it happens"),
    command(Command::Flush, 'F', &["flush"], "[TABLE]", "Delete all entries"),
    command(Command::Count, 'C', &["count", "counter"], "[TABLE]", "Show how many entries there are"),
    command(Command::Stats, 'S', &["stats"], "", "Show what was counted on each CPU"),
    command(Command::Help, 'h', &["help"], "[-p PROTOCOL]", "Show this help, and that of a protocol"),
    command(Command::Version, 'V', &["version"], "", "Show the version"),
];

/// An option, in the order of the checks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Opt {
    Src,
    Dst,
    ReplySrc,
    ReplyDst,
    Protocol,
    Timeout,
    Status,
    Zero,
    EventMask,
    TupleSrc,
    TupleDst,
    MaskSrc,
    MaskDst,
    NatRange,
    Mark,
    Id,
    Family,
    SrcNat,
    DstNat,
    Output,
    Secmark,
    BufferSize,
    AnyNat,
    Zone,
    Label,
    LabelAdd,
    LabelDel,
    OrigZone,
    ReplyZone,
    LabelMap,
    Kernel,
    Ipct,
    Socket,
}

/// Whether an option has an argument, and what that is called in the help.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Argument {
    Never,
    /// The next word, if that does not begin with a dash.
    Maybe(&'static str),
    Needed(&'static str),
}

/// An option and its rules. A rule is a string of commands' letters.
pub(crate) struct Declared {
    pub(crate) opt: Opt,
    pub(crate) short: Option<char>,
    /// Long names; messages use the first.
    pub(crate) longs: &'static [&'static str],
    pub(crate) argument: Argument,
    pub(crate) doc: &'static str,
    /// Commands that take it: for connections, then for expectations.
    pub(crate) may: [&'static str; 2],
    /// Commands that need it.
    pub(crate) must: [&'static str; 2],
}

impl Declared {
    const fn long(opt: Opt, longs: &'static [&'static str], argument: Argument) -> Declared {
        Declared {
            opt,
            short: None,
            longs,
            argument,
            doc: "",
            may: [""; 2],
            must: [""; 2],
        }
    }

    const fn new(
        opt: Opt,
        short: char,
        longs: &'static [&'static str],
        argument: Argument,
    ) -> Declared {
        let mut declared = Declared::long(opt, longs, argument);
        declared.short = Some(short);
        declared
    }

    const fn may(mut self, connections: &'static str, expectations: &'static str) -> Declared {
        self.may = [connections, expectations];
        self
    }

    const fn must(mut self, connections: &'static str, expectations: &'static str) -> Declared {
        self.must = [connections, expectations];
        self
    }

    const fn doc(mut self, doc: &'static str) -> Declared {
        self.doc = doc;
        self
    }

    /// The name in messages about a wrong combination.
    pub(crate) const fn name(&self) -> &'static str {
        self.longs[0]
    }
}

/// All commands: for what says where the table is.
const ANY: &str = "LGDIAUEFCShV";

/// All options that do not belong to a protocol.
#[rustfmt::skip]
pub(crate) const OPTIONS: &[Declared] = &[
    Declared::new(Opt::Src, 's', &["src", "orig-src"], Needed("ADDRESS[/LENGTH]"))
        .doc("Source of the original direction")
        .may("LGDIAUE", "").must("", "GDI"),
    Declared::new(Opt::Dst, 'd', &["dst", "orig-dst"], Needed("ADDRESS[/LENGTH]"))
        .doc("Destination of the original direction")
        .may("LGDIAUE", "").must("", "GDI"),
    Declared::new(Opt::ReplySrc, 'r', &["reply-src"], Needed("ADDRESS"))
        .doc("Source of the reply direction")
        .may("LGDIAUE", "GDI"),
    Declared::new(Opt::ReplyDst, 'q', &["reply-dst"], Needed("ADDRESS"))
        .doc("Destination of the reply direction")
        .may("LGDIAUE", "GDI"),
    Declared::new(Opt::Protocol, 'p', &["protonum", "proto"], Needed("PROTOCOL"))
        .doc("Protocol, by name or number; its own options come after it")
        .may("LDUEh", "").must("GIA", "GDI"),
    Declared::new(Opt::Timeout, 't', &["timeout"], Needed("SECONDS"))
        .doc("Seconds that are left: to be set, with -D to be compared")
        .may("DU", "").must("IA", "I"),
    Declared::new(Opt::Status, 'u', &["status"], Needed("STATUS[,...]"))
        .doc("ASSURED, SEEN_REPLY, UNSET, FIXED_TIMEOUT, EXPECTED, OFFLOAD, HW_OFFLOAD; in filters also UNREPLIED and !ASSURED")
        .may("LDIAU", "I"),
    Declared::new(Opt::Zero, 'z', &["zero"], Never)
        .doc("Set the counters to zero as they are read")
        .may("L", ""),
    Declared::new(Opt::EventMask, 'e', &["event-mask"], Needed("EVENT[,...]"))
        .doc("Which events: ALL, NEW, UPDATES, DESTROY")
        .may("E", ""),
    Declared::long(Opt::TupleSrc, &["tuple-src"], Needed("ADDRESS[/LENGTH]"))
        .doc("Source of the expected connection")
        .must("", "I"),
    Declared::long(Opt::TupleDst, &["tuple-dst"], Needed("ADDRESS[/LENGTH]"))
        .doc("Destination of the expected connection")
        .must("", "I"),
    Declared::long(Opt::MaskSrc, &["mask-src"], Needed("ADDRESS"))
        .doc("Bits of the source that count")
        .may("LDUE", "").must("", "I"),
    Declared::long(Opt::MaskDst, &["mask-dst"], Needed("ADDRESS"))
        .doc("Bits of the destination that count")
        .may("LDUE", "").must("", "I"),
    Declared::new(Opt::NatRange, 'a', &["nat-range"], Needed("ADDRESS"))
        .doc("Ignored, for old scripts")
        .may(ANY, ANY),
    Declared::new(Opt::Mark, 'm', &["mark"], Needed("MARK[/MASK]"))
        .doc("Mark; with -U the bits of the mask are taken away and those of the mark turned over")
        .may("LDIAUE", ""),
    Declared::new(Opt::Id, 'i', &["id"], Needed("ID"))
        .doc("Number of the entry")
        .may("GDU", ""),
    Declared::new(Opt::Family, 'f', &["family"], Needed("FAMILY"))
        .doc("ipv4 or ipv6; both if neither this nor an address is given")
        .may("LDUEF", "L"),
    Declared::new(Opt::SrcNat, 'n', &["src-nat"], Maybe("ADDRESS[:PORT]"))
        .doc("Entries whose source is translated, to that address; with -I: translate it so")
        .may("LDIAUE", ""),
    Declared::new(Opt::DstNat, 'g', &["dst-nat"], Maybe("ADDRESS[:PORT]"))
        .doc("Entries whose destination is translated, to that address; with -I: translate it so")
        .may("LDIAUE", ""),
    Declared::new(Opt::Output, 'o', &["output"], Needed("FORM[,...]"))
        .doc("extended, xml, save, id, timestamp, ktimestamp, labels, userspace")
        .may("LGDUE", "LE"),
    Declared::new(Opt::Secmark, 'c', &["secmark"], Needed("NUMBER"))
        .doc("Security mark")
        .may("LE", ""),
    Declared::new(Opt::BufferSize, 'b', &["buffer-size"], Needed("BYTES"))
        .doc("Size of the socket's buffer for events")
        .may("E", ""),
    Declared::new(Opt::AnyNat, 'j', &["any-nat"], Maybe("ADDRESS[:PORT]"))
        .doc("Entries with either translated")
        .may("LE", ""),
    Declared::new(Opt::Zone, 'w', &["zone"], Needed("NUMBER"))
        .doc("Zone of both directions, 0 to 65535")
        .may("LDIAE", ""),
    Declared::new(Opt::Label, 'l', &["label"], Needed("LABEL[,...]"))
        .doc("Entries that have these labels")
        .may("LGDUE", ""),
    Declared::long(Opt::LabelAdd, &["label-add"], Needed("LABEL[,...]"))
        .doc("Labels to give")
        .may("IAU", ""),
    Declared::long(Opt::LabelDel, &["label-del"], Maybe("LABEL[,...]"))
        .doc("Labels to take away; all if none is named")
        .may("U", ""),
    Declared::long(Opt::OrigZone, &["orig-zone"], Needed("NUMBER"))
        .doc("Zone of the original direction only")
        .may("LDIAE", ""),
    Declared::long(Opt::ReplyZone, &["reply-zone"], Needed("NUMBER"))
        .doc("Zone of the reply direction only")
        .may("LDIAE", ""),
    Declared::new(Opt::LabelMap, 'M', &["labelmap"], Needed("FILE"))
        .doc("Names of labels, instead of /etc/xtables/connlabel.conf")
        .may("LGDIAUE", ""),
    Declared::long(Opt::Kernel, &["kernel"], Never)
        .doc("The kernel's table")
        .may(ANY, ANY),
    Declared::long(Opt::Ipct, &["ipct"], Never)
        .doc("The daemon's table")
        .may(ANY, ANY),
    Declared::long(Opt::Socket, &["socket"], Needed("PATH"))
        .doc("The daemon's socket, instead of /run/ipct/control.sock")
        .may(ANY, ANY),
];

/// A command or an option, as a shell completes it.
pub(crate) struct Word {
    pub(crate) long: &'static str,
    pub(crate) short: Option<char>,
    pub(crate) takes_value: bool,
    pub(crate) doc: &'static str,
}

/// All commands and options by their usual names. Where both have the same one, it is the command's.
pub(crate) fn completions() -> Vec<Word> {
    let commands = COMMANDS.iter().filter_map(|command| {
        Some(Word {
            long: command.longs.first()?,
            short: Some(command.letter),
            takes_value: false,
            doc: command.doc,
        })
    });
    let options = OPTIONS.iter().filter_map(|option| {
        Some(Word {
            long: option.longs.first()?,
            short: option.short,
            takes_value: !matches!(option.argument, Never),
            doc: option.doc,
        })
    });
    let mut words: Vec<Word> = Vec::new();
    for mut word in commands.chain(options) {
        if words.iter().any(|other| other.short == word.short) {
            word.short = None;
        }
        if !words.iter().any(|other| other.long == word.long) {
            words.push(word);
        }
    }
    words
}
