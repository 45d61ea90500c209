//! What the kernel asks of the files of `/proc`, and what it is answered.
//!
//! Files are opened without the kernel's cache (`FOPEN_DIRECT_IO`), so that a read comes here as the reader
//! asked, and a file without a size is read to its end. What one reader has open is its own ([`Open`]).

use std::collections::HashMap;
use std::ffi::OsStr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner,
    OpenAccMode, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry,
    ReplyOpen, ReplyWrite, Request, WriteFlags,
};

use super::number;
use super::open::Open;
use super::tree::{Content, Node, Tree};
use crate::daemon::tracker::Tracker;

/// Neither names nor modes change.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// Files that may be open at a time: each may keep a step of a listing.
const OPEN_AT_ONCE: usize = 1024;

/// Of those, what others than root may have open: knobs can be read by everybody, and root has to get at them.
const OPEN_TO_OTHERS: usize = 896;

/// The file system.
pub(super) struct Proc {
    tracker: Arc<Tracker>,
    tree: Tree,
    born: SystemTime,
    open: Mutex<HashMap<u64, Arc<Mutex<Open>>>>,
    next: AtomicU64,
    closed: Arc<AtomicBool>,
}

impl Proc {
    pub(super) fn new(tracker: Arc<Tracker>, closed: Arc<AtomicBool>) -> Proc {
        Proc {
            tracker,
            tree: Tree::new(),
            born: SystemTime::now(),
            open: Mutex::default(),
            next: AtomicU64::new(1),
            closed,
        }
    }

    fn open_files(&self) -> MutexGuard<'_, HashMap<u64, Arc<Mutex<Open>>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// After the end, there is nothing any more.
    fn node(&self, inode: INodeNo) -> Result<&Node, Errno> {
        if self.closed.load(Relaxed) {
            return Err(Errno::ENODEV);
        }
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

    fn try_open(&self, user: u32, inode: INodeNo, flags: OpenFlags) -> Result<u64, Errno> {
        let node = self.node(inode)?;
        let writes = flags.acc_mode() != OpenAccMode::O_RDONLY;
        if writes && node.mode & 0o222 == 0 {
            return Err(Errno::EACCES);
        }
        let mut open = self.open_files();
        let most = match user {
            0 => OPEN_AT_ONCE,
            _ => OPEN_TO_OTHERS,
        };
        if open.len() >= most {
            return Err(Errno::ENFILE);
        }
        let handle = self.next.fetch_add(1, Relaxed);
        open.insert(handle, Arc::new(Mutex::new(Open::new(node.content))));
        Ok(handle)
    }

    fn try_read(
        &self,
        inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
    ) -> Result<Vec<u8>, Errno> {
        self.node(inode)?;
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

    fn open(&self, request: &Request, inode: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        match self.try_open(request.uid(), inode, flags) {
            Ok(handle) => reply.opened(FileHandle(handle), FopenFlags::FOPEN_DIRECT_IO),
            Err(errno) => reply.error(errno),
        }
    }

    fn read(
        &self,
        _: &Request,
        inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.try_read(inode, handle, offset, size) {
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
