//! The other transport: what becomes of a daemon that is missing, goes away, sends nonsense, or says that its
//! dump was interrupted. The daemon here is a few lines that send the bytes that the test wants.
