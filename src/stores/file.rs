//! Records in one file: a journal on disk, every record in memory.
