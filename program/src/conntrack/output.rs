//! What goes to stdout, in the forms that `-o` chooses.

use std::io::{self, BufWriter, StdoutLock, Write};

use ip_conntrack::format::netlink::Entry;
use ip_conntrack::format::{Options, Told, expect, line, save, xml};
use ip_conntrack::{Expectation, Time};

use super::options::{Opt, Order, Output, TableName};
use super::say::Failure;
use crate::local_time::utc_offset;

/// Bytes that are gathered before they are written.
const CHUNK: usize = 1 << 16;

/// Who asked for a change that an event tells.
pub(crate) struct Asker {
    pub(crate) port: u32,
    /// The program's name, while it runs.
    pub(crate) program: Option<String>,
}

/// The printer of one command.
pub(crate) struct Printer<'a> {
    out: BufWriter<StdoutLock<'static>>,
    line: Vec<u8>,
    output: Output,
    options: Options<'a>,
    table: TableName,
    /// Whether a document was begun.
    opened: bool,
    /// Entries printed.
    pub(crate) count: u64,
}

impl<'a> Printer<'a> {
    /// `labels` are the names of labels, by number. Commands that make entries have labels only if a file of names
    /// was given: those of the tool never have.
    pub(crate) fn new(order: &Order, labels: &'a [(u8, &'a str)]) -> Printer<'a> {
        let output = order.output;
        let shows_labels = output.labels || output.save && order.given.has(Opt::LabelMap);
        Printer {
            out: BufWriter::with_capacity(CHUNK, io::stdout().lock()),
            line: Vec::new(),
            output,
            options: Options {
                extended: output.extended,
                id: output.id,
                timestamp: output.timestamp,
                ktimestamp: output.ktimestamp,
                labels: shows_labels.then_some(labels),
                utc_offset,
            },
            table: order.table,
            opened: false,
            count: 0,
        }
    }

    /// Prints an entry or an event.
    pub(crate) fn entry(
        &mut self,
        told: Told,
        entry: &Entry,
        asker: Option<&Asker>,
    ) -> Result<(), Failure> {
        self.line.clear();
        let (line, options) = (&mut self.line, &self.options);
        match self.output {
            Output { xml: true, .. } => xml::message(line, told, entry, options),
            Output { save: true, .. } => save::message(line, told, entry, options),
            _ => line::message(line, told, entry, options),
        }
        self.put(asker)
    }

    /// Prints an entry that was deleted. Only the form that is made of commands shows that.
    pub(crate) fn deleted(&mut self, entry: &Entry) -> Result<(), Failure> {
        let told = match self.output.save {
            true => Told::Destroy,
            false => Told::Entry,
        };
        self.entry(told, entry, None)
    }

    /// Prints an expectation or an event of one.
    pub(crate) fn expectation(
        &mut self,
        told: Told,
        expectation: &Expectation,
        time: Time,
    ) -> Result<(), Failure> {
        self.line.clear();
        let line = &mut self.line;
        if self.output.xml {
            expect::xml(line, told, expectation);
        } else {
            let time = Some(time).filter(|_| self.output.timestamp && told != Told::Entry);
            expect::line(line, told, expectation, time);
        }
        self.put(None)
    }

    fn put(&mut self, asker: Option<&Asker>) -> Result<(), Failure> {
        if let Some(asker) = asker {
            self.line.pop();
            write!(self.line, " [USERSPACE] portid={}", asker.port)?;
            if let Some(program) = &asker.program {
                write!(self.line, " progname={program}")?;
            }
            self.line.push(b'\n');
        }
        if self.output.xml && !self.opened {
            self.opened = true;
            let mut header = Vec::new();
            match self.table {
                TableName::Expect => expect::xml_header(&mut header),
                _ => xml::header(&mut header),
            }
            self.out.write_all(&header)?;
        }
        self.count += 1;
        self.out.write_all(&self.line)?;
        Ok(())
    }

    /// What was printed is to be seen now.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.out.flush()?)
    }

    /// Ends the document, if the form has an end and anything was printed.
    pub(crate) fn finish(&mut self) -> Result<(), Failure> {
        if self.opened {
            let mut footer = Vec::new();
            match self.table {
                TableName::Expect => expect::xml_footer(&mut footer),
                _ => xml::footer(&mut footer),
            }
            self.out.write_all(&footer)?;
        }
        self.flush()
    }
}
