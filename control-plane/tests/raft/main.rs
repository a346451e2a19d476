//! The replicated registry: what it promises holds through crashes, partitions, torn and damaged disks and changes of
//! the membership. Members run in one process, over a mesh of this test's own and simulated disks, in paused time.

#[allow(dead_code, reason = "tests/linear uses the rest")]
mod cluster;
mod crash_loop;
mod disk;
mod disks;
mod level;
mod life;
mod members;
mod salvage;
