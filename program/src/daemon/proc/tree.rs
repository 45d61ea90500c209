//! Which files there are: their names, what is in them, their modes. Knobs come from their declarations.

use ip_conntrack::Knob;

/// A file's contents.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Content {
    /// Numbers of other nodes.
    Directory,
    /// The table, as `net/ip_conntrack` shows it.
    OldEntries,
    /// The table, as `net/nf_conntrack` shows it.
    Entries,
    /// Expectations, as `net/ip_conntrack_expect` shows them.
    OldExpectations,
    /// Expectations, as `net/nf_conntrack_expect` shows them.
    Expectations,
    /// Counters, as `net/stat/ip_conntrack` shows them.
    OldCounters,
    /// Counters, as `net/stat/nf_conntrack` shows them.
    Counters,
    /// Every counter and what each worker has to do, `NAME=VALUE` a line, as behind `ipct -S`: the kernel has no such file.
    Everything,
    /// A knob.
    Knob(Knob),
}

/// A file or directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Node {
    /// Its name in its directory.
    pub(super) name: String,
    /// The number of its directory; that of the root is its own.
    pub(super) parent: usize,
    pub(super) content: Content,
    /// Permissions.
    pub(super) mode: u16,
    /// Its path, without the leading slash.
    pub(super) path: String,
}

/// All files, numbered; the root is 0.
#[derive(Debug)]
pub(super) struct Tree(Vec<Node>);

impl Tree {
    pub(super) fn new() -> Tree {
        let mut tree = Tree(vec![Node {
            name: String::new(),
            parent: 0,
            content: Content::Directory,
            mode: 0o555,
            path: String::new(),
        }]);
        for (path, content, mode) in [
            ("net/ip_conntrack", Content::OldEntries, 0o440),
            ("net/nf_conntrack", Content::Entries, 0o440),
            ("net/ip_conntrack_expect", Content::OldExpectations, 0o440),
            ("net/nf_conntrack_expect", Content::Expectations, 0o440),
            ("net/stat/ip_conntrack", Content::OldCounters, 0o444),
            ("net/stat/nf_conntrack", Content::Counters, 0o444),
            ("net/stat/ipct", Content::Everything, 0o444),
        ] {
            tree.add(path, content, mode);
        }
        for knob in Knob::ALL {
            let info = knob.info();
            let name = format!("sys/{}/{}", info.path, info.name);
            tree.add(&name, Content::Knob(*knob), mode_of(*knob, info.name));
            for old in info.old_names {
                tree.add(
                    &format!("sys/{old}"),
                    Content::Knob(*knob),
                    mode_of(*knob, old),
                );
            }
        }
        tree
    }

    fn add(&mut self, path: &str, content: Content, mode: u16) {
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let parent = self.directory(above);
        self.push(name, parent, content, mode);
    }

    fn directory(&mut self, path: &str) -> usize {
        if path.is_empty() {
            return 0;
        }
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let parent = self.directory(above);
        match self.find(parent, name) {
            Some(number) => number,
            None => self.push(name, parent, Content::Directory, 0o555),
        }
    }

    fn push(&mut self, name: &str, parent: usize, content: Content, mode: u16) -> usize {
        let path = match self.0.get(parent) {
            Some(node) if !node.path.is_empty() => format!("{}/{name}", node.path),
            _ => name.to_owned(),
        };
        self.0.push(Node {
            name: name.to_owned(),
            parent,
            content,
            mode,
            path,
        });
        self.0.len() - 1
    }

    pub(super) fn node(&self, number: usize) -> Option<&Node> {
        self.0.get(number)
    }

    /// A file of a directory, by name.
    pub(super) fn find(&self, directory: usize, name: &str) -> Option<usize> {
        self.files(directory)
            .find(|(_, node)| node.name == name)
            .map(|(number, _)| number)
    }

    /// The files of a directory.
    pub(super) fn files(&self, directory: usize) -> impl Iterator<Item = (usize, &Node)> {
        let nodes = self.0.iter().enumerate();
        nodes.filter(move |(number, node)| *number != 0 && node.parent == directory)
    }
}

/// Numbers of buckets could only be read in the days of `ip_conntrack`.
fn mode_of(knob: Knob, path: &str) -> u16 {
    let is_fixed = knob.info().read_only || knob == Knob::Buckets && path.contains("ip_conntrack");
    if is_fixed { 0o444 } else { 0o644 }
}
