//! What a container is, from inside: one function a property.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rcompose_container::cgroup::{Cgroup, Layout};
use rcompose_container::create::{StandardStreams, StartContext, start};
use rcompose_container::exec::{Target, exec};
use rcompose_container::spec::{DeviceSpec, MountSource, MountSpec, NamespaceChoice};
use rcompose_container::{capability, seccomp};

use crate::sandbox::{Output, Sandbox, mounted_below, process, wait};
use crate::walls;

type Case = (&'static str, fn());

/// Every case by its name.
macro_rules! cases {
    ($($module:ident::$name:ident),* $(,)?) => { &[$((stringify!($name), $module::$name as fn())),*] };
}

fn all() -> Vec<Case> {
    let here: &[Case] = cases![
        own::the_program_runs_alone_with_pid_1,
        own::host_and_domain_name_are_its_own,
        own::exit_codes_and_signals_arrive,
        own::missing_and_unfit_programs_are_told_apart,
        own::programs_are_found_along_the_path,
        own::standard_mounts_are_there,
        own::standard_devices_work,
        own::writes_stay_in_the_upper_layer_across_restarts,
        own::a_read_only_root_keeps_mounts_writable,
        own::tmpfs_and_content_files_are_mounted,
        own::binds_are_mounted_and_missing_ones_made,
        own::an_empty_volume_is_filled_from_the_image,
        own::a_volume_subpath_and_an_image_mount_show_their_part,
        own::devices_of_the_host_appear,
        own::users_and_groups_come_from_the_image,
        own::the_working_directory_is_made,
        own::limits_are_written_and_hold,
        own::control_groups_are_seen_as_a_root,
        own::groups_freeze_thaw_and_are_measured,
        own::the_oom_killer_is_counted,
        own::kernel_parameters_are_set,
        own::an_init_reaps_and_passes_signals_on,
        own::a_terminal_is_one,
        own::exec_joins_everything,
        own::exec_with_a_terminal_and_limits,
        own::namespaces_can_be_shared,
        own::layers_without_descriptors_are_not_needed,
        own::starting_takes_milliseconds,
        own::one_version_of_control_groups_alone_is_enough,
    ];
    here.iter().chain(walls::ALL).copied().collect()
}

/// A harness as small as its job: `--list` and names, as libtest and nextest use them.
pub(crate) fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let flag = |name: &str| arguments.iter().any(|argument| argument == name);
    let names: Vec<&String> = arguments
        .iter()
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let names: Vec<&&String> = names.iter().filter(|name| **name != "terse").collect();
    if flag("--list") {
        if !flag("--ignored") {
            for (name, _) in all() {
                println!("{name}: test");
            }
        }
        return;
    }
    let chosen = |name: &str| {
        names.is_empty()
            || names.iter().any(|wanted| {
                if flag("--exact") {
                    **wanted == name
                } else {
                    name.contains(wanted.as_str())
                }
            })
    };
    assert!(
        rustix::process::geteuid().is_root(),
        "containers can only be made by root"
    );
    own::hide_other_control_groups();
    let (mut passed, mut failed) = (0, 0);
    for (name, case) in all().into_iter().filter(|(name, _)| chosen(name)) {
        eprint!("test {name} ... ");
        if std::panic::catch_unwind(case).is_ok() {
            eprintln!("ok");
            passed += 1;
        } else {
            eprintln!("test {name} FAILED");
            failed += 1;
        }
    }
    eprintln!("{passed} passed, {failed} failed");
    assert_eq!(failed, 0, "cases failed");
}

mod own {
    use super::*;

    fn lines(output: &Output) -> Vec<&str> {
        assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{output:?}");
        output.stdout.lines().collect()
    }

    pub(super) fn the_program_runs_alone_with_pid_1() {
        let output = Sandbox::script(
            "echo $$; set -- /proc/[0-9]*; echo $#; ls /proc/self/fd | tr '\\n' ' '; readlink /proc/1/exe",
        )
        .run();
        // ls has a fourth descriptor: the directory it lists.
        assert_eq!(lines(&output), ["1", "1", "0 1 2 3 /bin/busybox"]);
    }

    pub(super) fn host_and_domain_name_are_its_own() {
        let mut sandbox = Sandbox::script("hostname; cat /proc/sys/kernel/domainname");
        sandbox.spec.domainname = Some("example.org".into());
        assert_eq!(lines(&sandbox.run()), ["inside", "example.org"]);
        assert_ne!(
            fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim(),
            "inside"
        );
    }

    pub(super) fn exit_codes_and_signals_arrive() {
        assert_eq!(Sandbox::script("exit 42").run().code, 42);
        let sandbox = Sandbox::script("trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done");
        let started = sandbox.start().unwrap();
        std::thread::sleep(Duration::from_millis(50));
        rcompose_sys::pidfd::send_signal(started.running.pidfd.as_fd(), 15).unwrap();
        assert_eq!(started.finish().code, 3);
        let started = Sandbox::script("sleep 100");
        let started = started.start().unwrap();
        rcompose_sys::pidfd::send_signal(started.running.pidfd.as_fd(), 9).unwrap();
        assert_eq!(started.finish().code, 137);
    }

    pub(super) fn missing_and_unfit_programs_are_told_apart() {
        let code = |program: &str| Sandbox::new(&[program]).refused().exit_code();
        assert_eq!(code("nothing-of-this-name"), 127);
        assert_eq!(code("/bin/nothing"), 127);
        assert_eq!(code("/etc/script-without-mode"), 126);
        assert_eq!(code("/etc"), 126);
        let sandbox = Sandbox::new(&["/bin/script"]);
        fs::create_dir_all(sandbox.evil("bin")).unwrap();
        fs::write(sandbox.evil("bin/script"), "#!/bin/no-such-shell\n").unwrap();
        fs::set_permissions(
            sandbox.evil("bin/script"),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .unwrap();
        let error = sandbox.refused();
        assert!(
            error.exit_code() == 127 && error.detail.contains("interpreter"),
            "{error}"
        );
    }

    pub(super) fn programs_are_found_along_the_path() {
        let mut sandbox = Sandbox::new(&["hello"]);
        fs::create_dir_all(sandbox.evil("opt/a")).unwrap();
        fs::create_dir_all(sandbox.evil("opt/b")).unwrap();
        fs::write(sandbox.evil("opt/a/hello"), "not executable").unwrap();
        fs::write(sandbox.evil("opt/b/hello"), "#!/bin/sh\necho $0 $HOME\n").unwrap();
        fs::set_permissions(
            sandbox.evil("opt/b/hello"),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .unwrap();
        sandbox.spec.process.environment = vec!["PATH=/none:/opt/a:/opt/b".into()];
        assert_eq!(lines(&sandbox.run()), ["/opt/b/hello /root"]);
    }

    pub(super) fn standard_mounts_are_there() {
        let output = Sandbox::script("cut -d' ' -f2- /proc/self/mounts | grep -v /sys/fs/cgroup/").run();
        let has = |text: &str| {
            assert!(
                output.stdout.lines().any(|line| line.starts_with(text)),
                "{text}: {}",
                output.stdout
            );
        };
        has("/ overlay rw");
        has("/proc proc rw,nosuid,nodev,noexec");
        has("/proc/sys proc ro,nosuid,nodev,noexec");
        has("/sys sysfs ro,nosuid,nodev,noexec");
        has("/sys/fs/cgroup ");
        has("/dev tmpfs rw,nosuid");
        has("/dev/pts devpts rw,nosuid,noexec,relatime,gid=5,mode=620,ptmxmode=666");
        has("/dev/shm tmpfs rw,nosuid,nodev,noexec,relatime,size=65536k");
        has("/dev/mqueue mqueue rw,nosuid,nodev,noexec");
        has("/sys/firmware tmpfs ro");
        assert!(!output.stdout.contains("/dev/vda"), "{}", output.stdout);
    }

    pub(super) fn standard_devices_work() {
        let script = "head -c 4 /dev/urandom | wc -c; echo x > /dev/null; head -c 3 /dev/zero | wc -c; echo x > /dev/full || echo full; \
            echo y > /dev/stdout; readlink /dev/ptmx; stat -c '%a %t:%T' /dev/null /dev/tty; stat -c %a /dev/shm";
        let output = Sandbox::script(script).run();
        assert_eq!(
            output.stdout.lines().collect::<Vec<_>>(),
            ["4", "3", "full", "y", "pts/ptmx", "666 1:3", "666 5:0", "1777"]
        );
    }

    pub(super) fn writes_stay_in_the_upper_layer_across_restarts() {
        let sandbox = Sandbox::script("cat /kept 2>/dev/null; echo again >> /kept");
        assert_eq!(sandbox.run().stdout, "");
        assert_eq!(
            fs::read_to_string(sandbox.directory.join("upper/kept")).unwrap(),
            "again\n"
        );
        // What an overlay that was not unmounted in order leaves behind.
        fs::create_dir_all(sandbox.directory.join("work/work/incompat/volatile")).unwrap();
        assert_eq!(sandbox.run().stdout, "again\n");
        assert!(!mounted_below(&sandbox.directory), "no mount shows on the host");
    }

    pub(super) fn a_read_only_root_keeps_mounts_writable() {
        let mut sandbox = Sandbox::script("touch /x || echo read-only; touch /run/y && echo fine");
        sandbox.spec.rootfs.read_only = true;
        sandbox.spec.mounts.push(tmpfs("/run"));
        assert_eq!(sandbox.run().stdout, "read-only\nfine\n");
    }

    fn tmpfs(target: &str) -> MountSpec {
        let source = MountSource::Tmpfs {
            size: Some(1 << 20),
            mode: Some(0o700),
            uid: Some(33),
            gid: None,
            noexec: true,
        };
        MountSpec {
            target: target.into(),
            source,
            read_only: false,
            propagation: None,
        }
    }

    pub(super) fn tmpfs_and_content_files_are_mounted() {
        let mut sandbox = Sandbox::script(
            "grep ' /made/here ' /proc/mounts | cut -d' ' -f3,4; stat -c '%a %u' /made/here; cat /run/secrets/key; stat -c '%a %u:%g' /run/secrets/key; echo x > /run/secrets/key || echo no",
        );
        sandbox.spec.mounts.push(tmpfs("/made/here"));
        let source = MountSource::Content {
            bytes: b"secret\n".to_vec().into(),
            mode: 0o440,
            uid: 33,
            gid: 44,
        };
        sandbox.spec.mounts.push(MountSpec {
            target: "/run/secrets/key".into(),
            source,
            read_only: true,
            propagation: None,
        });
        let output = sandbox.run();
        let lines: Vec<_> = output.stdout.lines().collect();
        assert_eq!(
            lines,
            [
                "tmpfs rw,nosuid,nodev,noexec,relatime,size=1024k,mode=700,uid=33",
                "700 33",
                "secret",
                "440 33:44",
                "no"
            ]
        );
    }

    fn bind(source: &std::path::Path, target: &str, create: bool) -> MountSpec {
        let source = MountSource::Bind {
            path: source.to_str().unwrap().into(),
            recursive: true,
            create,
        };
        MountSpec {
            target: target.into(),
            source,
            read_only: false,
            propagation: None,
        }
    }

    pub(super) fn binds_are_mounted_and_missing_ones_made() {
        let mut sandbox = Sandbox::script(
            "cat /config/file; echo changed > /data/out; echo x > /ro/y || echo no; cat /etc/one",
        );
        let host = |name: &str| sandbox.directory.join("host").join(name);
        fs::create_dir_all(host("config")).unwrap();
        fs::write(host("config/file"), "from the host\n").unwrap();
        fs::write(host("one"), "one file\n").unwrap();
        let mut read_only = bind(&host("config"), "/ro", false);
        read_only.read_only = true;
        let mounts = vec![
            bind(&host("config"), "/config", false),
            bind(&host("data/new"), "/data", true),
            bind(&host("one"), "/etc/one", false),
            read_only,
        ];
        sandbox.spec.mounts = mounts;
        assert_eq!(sandbox.run().stdout, "from the host\nno\none file\n");
        assert_eq!(
            fs::read_to_string(sandbox.directory.join("host/data/new/out")).unwrap(),
            "changed\n"
        );
        sandbox.spec.mounts = vec![bind(&sandbox.directory.join("host/none"), "/x", false)];
        let error = sandbox.refused();
        assert!(error.stage.contains("host/none") && error.errno == 2, "{error}");
        sandbox.spec.mounts = vec![bind(&sandbox.directory.join("host/one"), "/etc", false)];
        assert!(
            sandbox
                .refused()
                .to_string()
                .contains("file cannot be mounted on a directory")
        );
    }

    fn volume(path: &std::path::Path, target: &str, subpath: Option<&str>) -> MountSpec {
        let source = MountSource::Volume {
            path: path.to_str().unwrap().into(),
            copy_up: true,
            subpath: subpath.map(str::to_owned),
        };
        MountSpec {
            target: target.into(),
            source,
            read_only: false,
            propagation: None,
        }
    }

    pub(super) fn an_empty_volume_is_filled_from_the_image() {
        let mut sandbox =
            Sandbox::script("cat /srv/data/seed; stat -c '%a %u' /srv/data; echo kept > /srv/data/seed");
        let data = sandbox.directory.join("volume");
        fs::create_dir_all(&data).unwrap();
        fs::create_dir_all(sandbox.evil("srv/data")).unwrap();
        fs::write(sandbox.evil("srv/data/seed"), "from the image\n").unwrap();
        std::os::unix::fs::chown(sandbox.evil("srv/data"), Some(33), Some(33)).unwrap();
        sandbox.spec.mounts = vec![volume(&data, "/srv/data", None)];
        assert_eq!(lines(&sandbox.run()), ["from the image", "755 33"]);
        assert_eq!(lines(&sandbox.run()), ["kept", "755 33"]);
    }

    pub(super) fn a_volume_subpath_and_an_image_mount_show_their_part() {
        let mut sandbox = Sandbox::script(
            "ls /part; ls /image-etc; touch /image-etc/x || echo read-only; ls /whole/bin/busybox",
        );
        let data = sandbox.directory.join("volume");
        fs::create_dir_all(data.join("a/b")).unwrap();
        fs::write(data.join("a/b/deep"), "").unwrap();
        let lower = sandbox.spec.rootfs.lower[1].clone();
        let layers = |target: &str, subpath: Option<&str>, layers: Vec<String>| MountSpec {
            target: target.into(),
            source: MountSource::Layers {
                lower: layers,
                subpath: subpath.map(str::to_owned),
            },
            read_only: true,
            propagation: None,
        };
        sandbox.spec.mounts = vec![
            volume(&data, "/part", Some("a/b")),
            layers("/image-etc", Some("etc"), sandbox.spec.rootfs.lower.clone()),
            layers("/whole", None, vec![lower]),
        ];
        let output = sandbox.run();
        assert_eq!(
            output.stdout.lines().collect::<Vec<_>>(),
            [
                "deep",
                "group",
                "passwd",
                "script-without-mode",
                "read-only",
                "/whole/bin/busybox"
            ]
        );
    }

    pub(super) fn devices_of_the_host_appear() {
        let script = "stat -c '%F %t:%T' /dev/of/kernel; head -c 1 /dev/of/kernel >/dev/null 2>&1 && echo readable; \
            mknod /dev/mine c 1 11 && echo made; head -c 1 /dev/mine 2>/dev/null || echo refused";
        let mut sandbox = Sandbox::script(script);
        sandbox.spec.devices.push(DeviceSpec {
            host_path: "/dev/zero".into(),
            container_path: "/dev/of/kernel".into(),
            permissions: "r".into(),
        });
        // Making a node is allowed, opening one that no rule names is not.
        assert_eq!(
            lines(&sandbox.run()),
            ["character special file 1:5", "readable", "made", "refused"]
        );
        sandbox.spec.privileged = true;
        sandbox.spec.process.arguments[2] = "head -c 1 /dev/kmsg >/dev/null && echo all".into();
        sandbox.spec.process.capabilities = (0..=40).collect();
        assert_eq!(sandbox.run().stdout, "all\n");
    }

    pub(super) fn users_and_groups_come_from_the_image() {
        let ids = |user: &str, groups: &[&str]| {
            let mut sandbox =
                Sandbox::script("id -u; id -g; id -G; echo $HOME; grep CapEff /proc/self/status");
            sandbox.spec.process.user = user.into();
            sandbox.spec.process.additional_groups = groups.iter().map(ToString::to_string).collect();
            let output = sandbox.run();
            lines(&output).join("|").replace('\t', "")
        };
        assert_eq!(ids("web", &[]), "33|33|33 29|/srv/web|CapEff:0000000000000000");
        assert_eq!(
            ids("1234:video", &["audio", "7"]),
            "1234|44|44 7 29|/|CapEff:0000000000000000"
        );
        assert_eq!(ids("", &[]), "0|0|0|/root|CapEff:00000000a80425fb");
    }

    pub(super) fn the_working_directory_is_made() {
        let mut sandbox = Sandbox::script("pwd");
        sandbox.spec.process.working_directory = "/srv/app/current".into();
        assert_eq!(lines(&sandbox.run()), ["/srv/app/current"]);
    }

    fn group_file(sandbox: &Sandbox, controller: &str, v1: &str, v2: &str) -> String {
        let layout = Layout::detect().unwrap();
        let path = &sandbox.spec.cgroup.path;
        let file = match layout.hierarchy(controller) {
            Some(hierarchy) => hierarchy.mount.join(path).join(v1),
            None => layout.unified.unwrap().join(path).join(v2),
        };
        fs::read_to_string(file).unwrap().trim().to_owned()
    }

    pub(super) fn limits_are_written_and_hold() {
        let mut sandbox = Sandbox::script(
            "ulimit -n; ulimit -c; for i in 1 2 3 4 5 6 7 8; do sleep 5 & done 2>/dev/null; echo never",
        );
        sandbox.spec.cgroup.memory_max = Some(64 << 20);
        sandbox.spec.cgroup.pids_max = Some(5);
        sandbox.spec.cgroup.cpu_millis = Some(500);
        sandbox.spec.cgroup.cpu_shares = Some(512);
        sandbox.spec.cgroup.cpuset = Some("0".into());
        sandbox.spec.process.rlimits = vec![(7, 100, 200), (4, 0, 0)];
        let started = sandbox.start().unwrap();
        assert_eq!(
            group_file(&sandbox, "memory", "memory.limit_in_bytes", "memory.max"),
            "67108864"
        );
        assert_eq!(group_file(&sandbox, "pids", "pids.max", "pids.max"), "5");
        assert!(
            ["50000", "50000 100000"]
                .contains(&group_file(&sandbox, "cpu", "cpu.cfs_quota_us", "cpu.max").as_str())
        );
        assert_eq!(group_file(&sandbox, "cpuset", "cpuset.cpus", "cpuset.cpus"), "0");
        std::thread::sleep(Duration::from_millis(200));
        assert!(started.running.cgroup.processes().unwrap().len() <= 5);
        started.running.cgroup.kill_all().unwrap();
        let cgroup = started.running.cgroup.clone();
        let output = started.finish();
        assert!(
            output.stdout.starts_with("100\n0\n") && !output.stdout.contains("never"),
            "{output:?}"
        );
        cgroup.remove().unwrap();
    }

    pub(super) fn control_groups_are_seen_as_a_root() {
        let output = Sandbox::script("cat /proc/self/cgroup; ls /sys/fs/cgroup; cat /sys/fs/cgroup/*/cgroup.procs /sys/fs/cgroup/cgroup.procs 2>/dev/null | sort | head -1; mkdir /sys/fs/cgroup/pids/x 2>/dev/null || mkdir /sys/fs/cgroup/x 2>/dev/null || echo read-only").run();
        assert!(
            output
                .stdout
                .lines()
                .filter(|line| line.contains(":/"))
                .all(|line| line.ends_with(":/")),
            "{}",
            output.stdout
        );
        assert!(
            output.stdout.contains("\n1\n") && output.stdout.ends_with("read-only\n"),
            "{}",
            output.stdout
        );
    }

    pub(super) fn groups_freeze_thaw_and_are_measured() {
        let sandbox = Sandbox::script("i=0; while :; do i=$((i+1)); done");
        let started = sandbox.start().unwrap();
        let cgroup = &started.running.cgroup;
        let used = || cgroup.statistics().cpu_nanoseconds.unwrap();
        cgroup.freeze().unwrap();
        assert!(cgroup.is_frozen());
        let before = used();
        std::thread::sleep(Duration::from_millis(50));
        assert!(used() - before < 1_000_000, "it ran while frozen");
        cgroup.thaw().unwrap();
        assert!(!cgroup.is_frozen());
        std::thread::sleep(Duration::from_millis(50));
        assert!(used() > before + 1_000_000, "it did not run after thawing");
        let statistics = cgroup.statistics();
        assert!(
            statistics.memory_bytes.unwrap() > 0 && statistics.pids == Some(1),
            "{statistics:?}"
        );
        assert_eq!(cgroup.processes().unwrap(), [started.running.pid]);
        // A frozen container is killed and removed all the same.
        cgroup.freeze().unwrap();
        started.kill();
        assert!(
            Cgroup::at(&sandbox.spec.cgroup.path)
                .unwrap()
                .directories()
                .all(|directory| !directory.exists())
        );
    }

    pub(super) fn the_oom_killer_is_counted() {
        let mut sandbox = Sandbox::script("x=0123456789; while :; do x=$x$x; done");
        sandbox.spec.cgroup.memory_max = Some(16 << 20);
        sandbox.spec.cgroup.memory_swap_max = Some(16 << 20);
        let started = sandbox.start().unwrap();
        let cgroup = started.running.cgroup.clone();
        assert_eq!(started.finish().code, 137);
        assert!(cgroup.oom_kills() >= 1);
        cgroup.remove().unwrap();
    }

    pub(super) fn kernel_parameters_are_set() {
        let mut sandbox = Sandbox::script(
            "cat /proc/sys/kernel/shmmni /proc/sys/kernel/msgmax; echo 1 > /proc/sys/kernel/shmmni || echo no",
        );
        sandbox.spec.sysctls = vec![
            ("kernel.shmmni".into(), "123".into()),
            ("kernel/msgmax".into(), "4096".into()),
        ];
        assert_eq!(sandbox.run().stdout, "123\n4096\nno\n");
        for name in [
            "kernel.core_pattern",
            "vm.swappiness",
            "net.ipv4.ip_forward",
            "kernel/../vm/swappiness",
            "fs.mqueue.none",
        ] {
            sandbox.spec.sysctls = vec![(name.into(), "1".into())];
            assert!(sandbox.refused().stage.contains(name));
        }
    }

    pub(super) fn an_init_reaps_and_passes_signals_on() {
        let mut sandbox = Sandbox::script(
            "echo $$; (sleep 0.05 &); trap 'ps -o stat | grep -c Z; exit 7' USR1; while :; do sleep 0.01; done",
        );
        sandbox.spec.init = true;
        let started = sandbox.start().unwrap();
        std::thread::sleep(Duration::from_millis(150));
        rcompose_sys::pidfd::send_signal(started.running.pidfd.as_fd(), 10).unwrap();
        let output = started.finish();
        // 2, because init is 1; and the orphaned sleep is no zombie.
        assert_eq!((output.code, output.stdout.as_str()), (7, "2\n0\n"), "{output:?}");
        sandbox.spec.process.arguments = vec!["nothing".into()];
        assert_eq!(sandbox.refused().exit_code(), 127);
        sandbox.spec.process.arguments = [
            "/bin/sh",
            "-c",
            "grep -E 'Seccomp:|CapEff|Uid' /proc/1/status; ls /proc/1/fd | wc -l",
        ]
        .map(String::from)
        .to_vec();
        sandbox.spec.process.user = "web".into();
        let output = sandbox.run();
        let text = output.stdout.replace('\t', " ");
        assert!(
            text.starts_with("Uid: 33 33 33 33\nCapEff: 0000000000000000\nSeccomp: 2\n"),
            "{text}"
        );
    }

    pub(super) fn a_terminal_is_one() {
        let mut sandbox = Sandbox::script(
            "tty; stty size; stat -c '%t:%T %u' /dev/console; echo $((1+1)) > /dev/tty; read line; echo got $line",
        );
        sandbox.spec.process.terminal = true;
        sandbox.spec.process.terminal_size = Some((100, 30));
        sandbox.spec.process.user = "web".into();
        let mut running = start(&sandbox.spec, StandardStreams::Terminal, &StartContext::default()).unwrap();
        let mut master = fs::File::from(running.terminal.take().unwrap());
        master.write_all(b"hello\n").unwrap();
        let text = read_terminal(&mut master);
        assert_eq!(wait(&running), 0);
        for expected in ["/dev/pts/0", "30 100", "88:0 33", "2", "got hello"] {
            assert!(
                text.lines().any(|line| line.trim() == expected),
                "{expected}: {text}"
            );
        }
        running.cgroup.remove().unwrap();
    }

    /// Until the other side is closed, which reads as an error.
    fn read_terminal(master: &mut fs::File) -> String {
        let mut text = Vec::new();
        drop(master.read_to_end(&mut text));
        String::from_utf8(text).unwrap()
    }

    pub(super) fn exec_joins_everything() {
        let mut sandbox = Sandbox::new(&["sleep", "100"]);
        sandbox.spec.process.environment.push("FROM=image".into());
        let started = sandbox.start().unwrap();
        let mut process = process(&[
            "sh",
            "-c",
            "hostname; id -u; pwd; echo $X; readlink /proc/$$/ns/pid; readlink /proc/$$/ns/time; cat /proc/$$/cgroup | wc -l; ls /proc/self/fd | tr -d '\\n'",
        ]);
        process.working_directory = "/etc".into();
        process.environment.push("X=y".into());
        process.user = "web".into();
        let output = started.exec(&process).unwrap();
        let inside: Vec<&str> = output.stdout.lines().collect();
        assert_eq!(&inside[..4], ["inside", "33", "/etc", "y"], "{output:?}");
        let link = |name: &str| fs::read_link(format!("/proc/{}/ns/{name}", started.running.pid)).unwrap();
        assert_eq!(
            inside[4..6].iter().map(PathBuf::from).collect::<Vec<_>>(),
            [link("pid"), link("time")]
        );
        assert_eq!(
            inside[7], "0123",
            "nothing but the streams, and the directory being listed"
        );
        assert_eq!(
            started
                .exec(&super::process(&["sh", "-c", "exit 9"]))
                .unwrap()
                .code,
            9
        );
        let own = super::process(&["true"]);
        assert_eq!(started.exec(&own).unwrap().code, 0);
        let failed = |arguments: &[&str]| started.exec(&super::process(arguments)).unwrap_err().exit_code();
        assert_eq!((failed(&["none"]), failed(&["/etc/passwd"])), (127, 126));
        let mut lost = super::process(&["true"]);
        lost.working_directory = "/none".into();
        assert_eq!(started.exec(&lost).unwrap_err().exit_code(), 125);
        let before = Instant::now();
        let count = 50;
        for _ in 0..count {
            started.exec(&own).unwrap();
        }
        eprint!("(exec and reap {:?}) ", before.elapsed() / count);
        let leader = started.running.pidfd.as_fd().try_clone_to_owned().unwrap();
        let cgroup = started.running.cgroup.clone();
        assert_eq!(rcompose_sys::pidfd::exit_status(leader.as_fd()), None);
        started.kill();
        assert!(
            exec(
                &Target {
                    pidfd: leader.as_fd(),
                    cgroup: &cgroup
                },
                &own,
                StandardStreams::Terminal
            )
            .is_err()
        );
        if let Some(ended) = rcompose_sys::pidfd::exit_status(leader.as_fd()) {
            assert_eq!(ended.code(), 137);
        }
    }

    pub(super) fn exec_with_a_terminal_and_limits() {
        let sandbox = Sandbox::new(&["sleep", "100"]);
        let started = sandbox.start().unwrap();
        let mut process = process(&[
            "sh",
            "-c",
            "tty; stty size; ulimit -n; grep -E 'CapBnd|Seccomp:|NoNewPrivs' /proc/self/status",
        ]);
        process.terminal = true;
        process.terminal_size = Some((80, 24));
        process.capabilities = vec![0];
        process.no_new_privileges = true;
        process.seccomp = Some(seccomp::compile(&[0]).into());
        process.rlimits = vec![(7, 64, 64)];
        let target = Target {
            pidfd: started.running.pidfd.as_fd(),
            cgroup: &started.running.cgroup,
        };
        let mut running = exec(&target, &process, StandardStreams::Terminal).unwrap();
        let text = read_terminal(&mut running.terminal.take().unwrap().into());
        assert_eq!(wait(&running), 0);
        for expected in [
            "/dev/pts/0",
            "24 80",
            "64",
            "CapBnd:\t0000000000000001",
            "NoNewPrivs:\t1",
            "Seccomp:\t2",
        ] {
            assert!(
                text.lines().any(|line| line.trim() == expected),
                "{expected}: {text}"
            );
        }
        started.kill();
    }

    pub(super) fn namespaces_can_be_shared() {
        let first = Sandbox::script("echo shared > /dev/shm/file; exec sleep 100");
        let started = first.start().unwrap();
        std::thread::sleep(Duration::from_millis(50));
        let mut second = Sandbox::script(
            "cat /dev/shm/file; hostname; ps -o args | grep -c 'sleep 100'; readlink /proc/self/ns/ipc",
        );
        let shared = || NamespaceChoice::Container("first".into());
        second.spec.namespaces.ipc = shared();
        second.spec.namespaces.pid = shared();
        second.spec.namespaces.uts = shared();
        second.joined = vec![(
            "first".into(),
            started.running.pidfd.as_fd().try_clone_to_owned().unwrap(),
        )];
        let output = second.run();
        let ipc = fs::read_link(format!("/proc/{}/ns/ipc", started.running.pid)).unwrap();
        assert_eq!(lines(&output)[..2], ["shared", "inside"]);
        assert_ne!(lines(&output)[2], "0");
        assert_eq!(lines(&output)[3], ipc.to_str().unwrap());
        started.kill();
        let mut host = Sandbox::script("for name in pid ipc uts; do readlink /proc/self/ns/$name; done");
        host.spec.namespaces.pid = NamespaceChoice::Host;
        host.spec.namespaces.ipc = NamespaceChoice::Host;
        host.spec.namespaces.uts = NamespaceChoice::Host;
        let output = host.run();
        let own = ["pid", "ipc", "uts"].map(|name| {
            fs::read_link(format!("/proc/self/ns/{name}"))
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        });
        assert_eq!(lines(&output), own);
        second.spec.namespaces.pid = NamespaceChoice::Container("gone".into());
        assert!(second.refused().detail.contains("gone"));
    }

    pub(super) fn layers_without_descriptors_are_not_needed() {
        let mut sandbox = Sandbox::script("cat /marks/*");
        let mut lower = Vec::new();
        for number in 0..40 {
            let layer = sandbox.directory.join(format!("layer:{number},a\\b"));
            fs::create_dir_all(layer.join("marks")).unwrap();
            fs::write(layer.join("marks/same"), format!("{number}\n")).unwrap();
            lower.push(layer.to_str().unwrap().to_owned());
        }
        lower.append(&mut sandbox.spec.rootfs.lower);
        sandbox.spec.rootfs.lower = lower;
        assert_eq!(
            lines(&sandbox.run()),
            ["0"],
            "the first layer is the top-most, whatever its name"
        );
    }

    /// Names the version whose hierarchies alone shall be seen.
    const ALONE: &str = "RCOMPOSE_TEST_CGROUP_VERSION";
    /// Cases about controllers, which belong to one version only, and those that would take long.
    const NOT_ALONE: [&str; 5] = [
        "limits_are_written_and_hold",
        "the_oom_killer_is_counted",
        "groups_freeze_thaw_and_are_measured",
        "starting_takes_milliseconds",
        "one_version_of_control_groups_alone_is_enough",
    ];

    /// In a process started by the case below: a mount namespace where only one version is mounted.
    pub(super) fn hide_other_control_groups() {
        use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount};
        let Ok(version) = std::env::var(ALONE) else { return };
        let layout = Layout::detect().unwrap();
        rcompose_sys::process::unshare(rcompose_sys::process::flag::NEW_MOUNT).unwrap();
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
        if version == "1" {
            if let Some(unified) = layout.unified {
                unmount(unified, UnmountFlags::DETACH).unwrap();
            }
        } else {
            unmount("/sys/fs/cgroup", UnmountFlags::DETACH).unwrap();
            mount("none", "/sys/fs/cgroup", "cgroup2", MountFlags::empty(), None).unwrap();
        }
    }

    pub(super) fn one_version_of_control_groups_alone_is_enough() {
        let layout = Layout::detect().unwrap();
        let versions = [
            ("1", layout.hierarchies.len()),
            ("2", usize::from(layout.unified.is_some())),
        ];
        for (version, _) in versions.into_iter().filter(|(_, mounted)| *mounted > 0) {
            let names = all()
                .into_iter()
                .map(|(name, _)| name)
                .filter(|name| !NOT_ALONE.contains(name));
            let output = std::process::Command::new(std::env::current_exe().unwrap())
                .arg("--exact")
                .args(names)
                .env(ALONE, version)
                .output()
                .unwrap();
            assert!(
                output.status.success(),
                "version {version}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }

    pub(super) fn starting_takes_milliseconds() {
        let mut sandbox = Sandbox::new(&["/bin/true"]);
        sandbox.spec.process.capabilities = capability::DEFAULT.to_vec();
        let (mut starts, mut ends) = (Vec::new(), Vec::new());
        for _ in 0..60 {
            let before = Instant::now();
            let started = sandbox.start().unwrap();
            starts.push(before.elapsed());
            let cgroup = started.running.cgroup.clone();
            let before = Instant::now();
            started.finish();
            cgroup.remove().unwrap();
            ends.push(before.elapsed());
        }
        starts.sort_unstable();
        ends.sort_unstable();
        eprint!(
            "(start to exec: median {:?}, best {:?}; to the end and removed: median {:?}) ",
            starts[30], starts[0], ends[30]
        );
        assert!(
            starts[30] < Duration::from_millis(100),
            "something waits that should not: {starts:?}"
        );
    }
}
