//! The files of `/proc`, mounted with FUSE on a directory of choice: listings, counters, knobs, by today's
//! names and by those of `ip_conntrack`.
//!
//! *Habits* are the kernel's. Files have no size, and are read to their end. Modes decide who may read, and a
//! file without the right to write is closed to root, too (EACCES). A number is written in one piece from
//! the beginning; what is written behind that is taken and means nothing. What a knob does not accept is
//! EINVAL. Nothing can be made, deleted or given other modes.
//!
//! *Life.* [`Files::mount`] clears away what a killed daemon left, and refuses a directory that is in use.
//! [`Files::unmount`] takes the mount away, also from under files that are open.

mod mount;
mod number;
mod open;
mod tree;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags,
    Generation, INodeNo, LockOwner, MountOption, OpenAccMode, OpenFlags, ReplyAttr, ReplyData,
    ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite, Request, Session, SessionACL,
    WriteFlags,
};
use tracing::warn;

use super::tracker::Tracker;
use open::Open;
use tree::{Content, Node, Tree};

/// Neither names nor modes change.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// Files that may be open at a time: each may keep a step of a listing.
const OPEN_AT_ONCE: usize = 1024;

/// Threads that answer the kernel.
const THREADS: usize = 2;

/// The files, while they are mounted.
pub(crate) struct Files {
    directory: PathBuf,
    session: BackgroundSession,
}

impl Files {
    /// Mounts them.
    ///
    /// # Errors
    ///
    /// In words, with what to do about it.
    pub(crate) fn mount(directory: &Path, tracker: Arc<Tracker>) -> Result<Files, String> {
        mount::prepare(directory)?;
        let mut config = Config::default();
        config.mount_options = vec![
            MountOption::FSName("ipct".to_owned()),
            MountOption::Subtype("ipct".to_owned()),
            MountOption::DefaultPermissions,
            MountOption::NoSuid,
            MountOption::NoDev,
            MountOption::NoExec,
        ];
        config.acl = SessionACL::All;
        config.n_threads = Some(THREADS);
        let session = Session::new(Proc::new(tracker), directory, &config);
        let session = session.and_then(Session::spawn).map_err(|error| {
            format!(
                "{}: the files of /proc cannot be mounted: {error}",
                directory.display()
            )
        })?;
        Ok(Files {
            directory: directory.to_owned(),
            session,
        })
    }

    /// Takes them away.
    pub(crate) fn unmount(self) {
        let name = self.directory.display();
        // Who has a file open keeps the files alive; nobody waits for that.
        if let Err(error) = self.session.umount_and_join()
            && let Err(errno) = mount::detach(&self.directory)
        {
            warn!("{name}: it stays mounted: {error}, {errno}; umount -l {name} takes it away");
        }
    }
}

/// The file system.
struct Proc {
    tracker: Arc<Tracker>,
    tree: Tree,
    born: SystemTime,
    open: Mutex<HashMap<u64, Arc<Mutex<Open>>>>,
    next: AtomicU64,
}

impl Proc {
    fn new(tracker: Arc<Tracker>) -> Proc {
        Proc {
            tracker,
            tree: Tree::new(),
            born: SystemTime::now(),
            open: Mutex::default(),
            next: AtomicU64::new(1),
        }
    }

    fn open_files(&self) -> MutexGuard<'_, HashMap<u64, Arc<Mutex<Open>>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn node(&self, inode: INodeNo) -> Result<&Node, Errno> {
        self.tree.node(number_of(inode)).ok_or(Errno::ENOENT)
    }

    fn attributes(&self, number: usize, node: &Node) -> FileAttr {
        let is_directory = node.content == Content::Directory;
        FileAttr {
            ino: INodeNo(number as u64 + 1),
            size: 0,
            blocks: 0,
            atime: self.born,
            mtime: self.born,
            ctime: self.born,
            crtime: self.born,
            kind: if is_directory {
                FileType::Directory
            } else {
                FileType::RegularFile
            },
            perm: node.mode,
            nlink: 1,
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }

    fn attributes_of(&self, inode: INodeNo) -> Result<FileAttr, Errno> {
        Ok(self.attributes(number_of(inode), self.node(inode)?))
    }

    fn try_open(&self, inode: INodeNo, flags: OpenFlags) -> Result<u64, Errno> {
        let node = self.node(inode)?;
        let writes = flags.acc_mode() != OpenAccMode::O_RDONLY;
        if writes && node.mode & 0o222 == 0 {
            return Err(Errno::EACCES);
        }
        let mut open = self.open_files();
        if open.len() >= OPEN_AT_ONCE {
            return Err(Errno::ENFILE);
        }
        let handle = self.next.fetch_add(1, Relaxed);
        open.insert(handle, Arc::new(Mutex::new(Open::new(node.content))));
        Ok(handle)
    }

    fn try_read(&self, handle: FileHandle, offset: u64, size: u32) -> Result<Vec<u8>, Errno> {
        let open = self.open_files().get(&handle.0).cloned();
        let open = open.ok_or(Errno::EBADF)?;
        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
        open.read(&self.tracker, offset, size as usize)
            .map_err(|_| Errno::EIO)
    }

    fn try_write(&self, inode: INodeNo, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        let node = self.node(inode)?;
        let Content::Knob(knob) = node.content else {
            return Err(Errno::EIO);
        };
        if offset > 0 || bytes.is_empty() {
            return Ok(());
        }
        let value = number::written(knob, bytes).ok_or(Errno::EINVAL)?;
        let name = node.path.strip_prefix("sys/").unwrap_or(&node.path);
        match self.tracker.set_knob(name, &value.to_string()) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Errno::EINVAL),
            Err(_) => Err(Errno::EIO),
        }
    }
}

/// The root has number 1 with FUSE.
const fn number_of(inode: INodeNo) -> usize {
    (inode.0 as usize).wrapping_sub(1)
}

impl Filesystem for Proc {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = name
            .to_str()
            .and_then(|name| self.tree.find(number_of(parent), name));
        match found.and_then(|number| Some((number, self.tree.node(number)?))) {
            Some((number, node)) => {
                reply.entry(&FOR_EVER, &self.attributes(number, node), Generation(0));
            }
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.attributes_of(inode) {
            Ok(attributes) => reply.attr(&FOR_EVER, &attributes),
            Err(errno) => reply.error(errno),
        }
    }

    /// Cutting a file to a length is what a shell does before it writes; it changes nothing.
    #[allow(clippy::too_many_arguments)]
    fn setattr(
        &self,
        _: &Request,
        inode: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        _: Option<u64>,
        _: Option<fuser::TimeOrNow>,
        _: Option<fuser::TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        if mode.is_some() || uid.is_some() || gid.is_some() {
            return reply.error(Errno::EPERM);
        }
        match self.attributes_of(inode) {
            Ok(attributes) => reply.attr(&FOR_EVER, &attributes),
            Err(errno) => reply.error(errno),
        }
    }

    fn readdir(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let number = number_of(inode);
        let Some(node) = self.tree.node(number) else {
            return reply.error(Errno::ENOENT);
        };
        let own =
            [(number, "."), (node.parent, "..")].map(|(n, name)| (n, name, FileType::Directory));
        let files = self.tree.files(number).map(|(n, node)| match node.content {
            Content::Directory => (n, node.name.as_str(), FileType::Directory),
            _ => (n, node.name.as_str(), FileType::RegularFile),
        });
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        for (place, (n, name, kind)) in own.into_iter().chain(files).enumerate().skip(from) {
            if reply.add(INodeNo(n as u64 + 1), place as u64 + 1, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn open(&self, _: &Request, inode: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        match self.try_open(inode, flags) {
            Ok(handle) => reply.opened(FileHandle(handle), FopenFlags::FOPEN_DIRECT_IO),
            Err(errno) => reply.error(errno),
        }
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.try_read(handle, offset, size) {
            Ok(bytes) => reply.data(&bytes),
            Err(errno) => reply.error(errno),
        }
    }

    fn write(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.try_write(inode, offset, data) {
            Ok(()) => reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX)),
            Err(errno) => reply.error(errno),
        }
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.open_files().remove(&handle.0);
        reply.ok();
    }
}
