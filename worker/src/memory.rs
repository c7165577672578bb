//! How much memory this process may have.

use std::{fs, path::Path};

/// What bounds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// For people: whose it is.
    pub of: &'static str,
    pub bytes: u64,
}

/// The smallest of what bounds this process: its control group (a container's limit is one), its address space
/// (`ulimit -v`), the machine. None where nothing can be read.
pub fn limit() -> Option<Limit> {
    below(Path::new("/"))
}

fn below(root: &Path) -> Option<Limit> {
    let read = |path: &Path| fs::read_to_string(root.join(path)).unwrap_or_default();
    let mut limits = Vec::new();
    for line in read(Path::new("proc/self/cgroup")).lines() {
        // number:controllers:path, of the second version without controllers
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
            continue;
        };
        let (mount, file) = match controllers {
            "" => ("sys/fs/cgroup", "memory.max"),
            some if some.split(',').any(|one| one == "memory") => {
                ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        // A group's limit binds those within it.
        for group in Path::new(path.trim_start_matches('/')).ancestors() {
            let limit = read(&Path::new(mount).join(group).join(file));
            limits.push(("control group", limit.trim().parse().ok()));
        }
    }
    let number = |file: &str, name: &str| -> Option<u64> {
        let text = read(Path::new(file));
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let address_space = number("proc/self/limits", "Max address space");
    limits.push(("address space", address_space));
    let machine = number("proc/meminfo", "MemTotal:");
    limits.push(("machine", machine.map(|kilobytes| kilobytes * 1024)));
    let known = limits
        .into_iter()
        .filter_map(|(of, bytes)| Some(Limit { of, bytes: bytes? }));
    known.min_by_key(|limit| limit.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Option<(&'static str, u64)> {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        below(root.path()).map(|limit| (limit.of, limit.bytes))
    }

    #[test]
    fn the_smallest_limit_binds() {
        let meminfo = ("proc/meminfo", "MemFree: 1 kB\nMemTotal:  4096 kB\n");
        let of_machine = Some(("machine", 4096 * 1024));
        assert_eq!(found(&[]), None);
        assert_eq!(found(&[meminfo]), of_machine);

        let inner = ("proc/self/cgroup", "0::/plant/worker\n");
        let unlimited = ("sys/fs/cgroup/plant/worker/memory.max", "max\n");
        assert_eq!(found(&[meminfo, inner, unlimited]), of_machine);
        let outer = ("sys/fs/cgroup/plant/memory.max", "1000000\n");
        let bound = Some(("control group", 1_000_000));
        assert_eq!(found(&[meminfo, inner, unlimited, outer]), bound);

        let first_version = ("proc/self/cgroup", "3:cpu,memory:/\n2:pids:/\n");
        let file = "sys/fs/cgroup/memory/memory.limit_in_bytes";
        assert_eq!(found(&[meminfo, first_version, (file, "1000000")]), bound);
        let none = (file, "9223372036854771712");
        assert_eq!(found(&[meminfo, first_version, none]), of_machine);

        let line = |soft| {
            format!("Max address space         {soft}            unlimited            bytes\n")
        };
        let free = line("unlimited");
        assert_eq!(found(&[meminfo, ("proc/self/limits", &free)]), of_machine);
        let bound = line("2000000");
        let bound = found(&[meminfo, ("proc/self/limits", &bound)]);
        assert_eq!(bound, Some(("address space", 2_000_000)));
    }

    #[test]
    fn this_machine_has_one() {
        assert!(limit().is_some_and(|limit| limit.bytes > 1 << 20));
    }
}
