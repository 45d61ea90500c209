//! A source by its first bytes: a capture, or a listing.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use ip_conntrack_link::{Capture, CaptureError};

const GZIP: &[u8] = &[0x1f, 0x8b];

/// The first four bytes of captures: pcap in both byte orders, with microseconds, nanoseconds and as
/// written by some vendors, and pcapng.
const CAPTURES: &[[u8; 4]] = &[
    [0xa1, 0xb2, 0xc3, 0xd4],
    [0xd4, 0xc3, 0xb2, 0xa1],
    [0xa1, 0xb2, 0x3c, 0x4d],
    [0x4d, 0x3c, 0xb2, 0xa1],
    [0xa1, 0xb2, 0xcd, 0x34],
    [0x34, 0xcd, 0xb2, 0xa1],
    [0x0a, 0x0d, 0x0d, 0x0a],
];

/// An opened source.
pub(super) enum Input {
    /// A capture, which can be read more than once.
    Capture(Again),
    /// Anything else should be a listing.
    Listing(Text),
}

/// A listing that was not read yet.
pub(super) struct Text {
    pub(super) name: String,
    pub(super) reader: Box<dyn Read>,
    /// When the file was written.
    pub(super) written: Option<SystemTime>,
}

/// A capture that can be opened again.
pub(super) struct Again {
    pub(super) name: String,
    place: Place,
}

enum Place {
    Path(PathBuf),
    /// What came through a pipe.
    Spooled(File),
}

impl Again {
    pub(super) fn open(&self) -> Result<Capture, CaptureError> {
        match &self.place {
            Place::Path(path) => Capture::open(path),
            Place::Spooled(file) => {
                let reader: Box<dyn Read + Send> = match rewound(file) {
                    Ok(file) => Box::new(file),
                    Err(error) => Box::new(Broken(Some(error))),
                };
                Capture::from_reader(self.name.clone(), reader, None)
            }
        }
    }
}

fn rewound(file: &File) -> io::Result<File> {
    let mut file = file.try_clone()?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

/// A reader that fails.
struct Broken(Option<io::Error>);

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

/// Opens a source; `-` is the standard input.
pub(super) fn open(path: &Path) -> Result<Input, String> {
    let is_stdin = path.as_os_str() == "-";
    let name = if is_stdin {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    };
    let told = |error: io::Error| format!("{name}: {error}");
    let mut reader: Box<dyn Read> = match is_stdin {
        true => Box::new(io::stdin()),
        false => Box::new(File::open(path).map_err(told)?),
    };
    let first = peek(&mut reader, 4).map_err(told)?;
    let mut reader: Box<dyn Read> = Box::new(Cursor::new(first.clone()).chain(reader));
    let is_gzip = first.starts_with(GZIP);
    let mut inner = first.clone();
    if is_gzip {
        // Looked at through a second reader, as far as that is possible without taking bytes away.
        let start = peek(&mut reader, 1 << 16).map_err(told)?;
        inner = peek(
            &mut flate2::read::MultiGzDecoder::new(Cursor::new(start.clone())),
            4,
        )
        .unwrap_or_default();
        reader = Box::new(Cursor::new(start).chain(reader));
    }
    if CAPTURES.iter().any(|magic| inner.starts_with(magic)) {
        let is_file = !is_stdin && path.metadata().is_ok_and(|data| data.is_file());
        let place = match is_file {
            true => Place::Path(path.to_owned()),
            false => Place::Spooled(spool(&mut reader).map_err(told)?),
        };
        return Ok(Input::Capture(Again { name, place }));
    }
    if is_gzip {
        reader = Box::new(flate2::read::MultiGzDecoder::new(BufReader::new(reader)));
    }
    let written = path.metadata().and_then(|data| data.modified()).ok();
    Ok(Input::Listing(Text {
        name,
        reader,
        written: written.filter(|_| !is_stdin),
    }))
}

/// Up to `most` bytes from the beginning.
fn peek(reader: &mut impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.by_ref().take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn spool(reader: &mut impl Read) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    io::copy(reader, &mut file)?;
    Ok(file)
}
