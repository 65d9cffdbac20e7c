//! What a container, or an image made by an enemy, must not be able to do: one function a class of attack.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use rcompose_container::spec::{DeviceSpec, MountSource, MountSpec};
use rcompose_container::{capability, seccomp};

use crate::sandbox::{Sandbox, process};

pub(crate) const ALL: &[(&str, fn())] = &[
    (
        "masked_paths_are_empty_and_read_only_paths_are_read_only",
        masked_paths_are_empty_and_read_only_paths_are_read_only,
    ),
    ("refused_system_calls_fail", refused_system_calls_fail),
    (
        "capabilities_are_bounded_and_nothing_is_inherited",
        capabilities_are_bounded_and_nothing_is_inherited,
    ),
    (
        "links_in_place_of_kernel_file_systems_are_refused",
        links_in_place_of_kernel_file_systems_are_refused,
    ),
    (
        "links_never_lead_a_mount_out_of_the_root",
        links_never_lead_a_mount_out_of_the_root,
    ),
    (
        "nothing_is_mounted_over_proc_and_sys",
        nothing_is_mounted_over_proc_and_sys,
    ),
    (
        "working_directories_cannot_be_descriptors",
        working_directories_cannot_be_descriptors,
    ),
    (
        "users_are_numbers_or_names_of_the_image",
        users_are_numbers_or_names_of_the_image,
    ),
    (
        "devices_do_not_follow_links_of_the_image",
        devices_do_not_follow_links_of_the_image,
    ),
    (
        "the_runtime_cannot_be_executed_through_proc",
        the_runtime_cannot_be_executed_through_proc,
    ),
    (
        "volumes_are_filled_from_inside_the_image_only",
        volumes_are_filled_from_inside_the_image_only,
    ),
    (
        "mount_places_that_move_lead_nowhere_else",
        mount_places_that_move_lead_nowhere_else,
    ),
    ("a_failed_start_leaves_nothing", a_failed_start_leaves_nothing),
    ("an_enormous_target_is_an_error", an_enormous_target_is_an_error),
];

fn masked_paths_are_empty_and_read_only_paths_are_read_only() {
    let script = "head -c 1 /proc/kcore | wc -c; ls /sys/firmware | wc -l; ls /proc/acpi 2>/dev/null | wc -l; \
        echo x > /proc/sysrq-trigger || echo no; echo x > /proc/sys/kernel/core_pattern || echo no; \
        mkdir /sys/firmware/x || echo no; cat /proc/keys | wc -c";
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    let output = Sandbox::script(script).run();
    assert_eq!(
        output.stdout.split_whitespace().collect::<Vec<_>>(),
        ["0", "0", "0", "no", "no", "no", "0"],
        "{output:?}"
    );
    assert_eq!(
        fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap(),
        pattern
    );
}

fn refused_system_calls_fail() {
    let script = "mount -t tmpfs none /tmp 2>&1; unshare -U true 2>&1; unshare -m true 2>&1; grep Seccomp: /proc/self/status";
    let output = Sandbox::script(script).run();
    assert_eq!(
        output
            .stdout
            .lines()
            .filter(|line| line.contains("not permitted") || line.contains("denied"))
            .count(),
        3,
        "{output:?}"
    );
    assert!(output.stdout.contains("Seccomp:\t2"), "{output:?}");
    // With the capability, the calls come back.
    let mut sandbox =
        Sandbox::script("mount -t tmpfs none /tmp && echo mounted; unshare -m true && echo unshared");
    sandbox.spec.process.capabilities = capability::effective(&["SYS_ADMIN".into()], &[], false).unwrap();
    sandbox.spec.process.seccomp = Some(seccomp::compile(&sandbox.spec.process.capabilities).into());
    assert_eq!(sandbox.run().stdout, "mounted\nunshared\n");
}

fn capabilities_are_bounded_and_nothing_is_inherited() {
    let script = "grep ^Cap /proc/self/status | tr '\\t\\n' '  '; grep NoNew /proc/self/status";
    let mut sandbox = Sandbox::script(script);
    sandbox.spec.process.no_new_privileges = true;
    let expected = "CapInh: 0000000000000000 CapPrm: 00000000a80425fb CapEff: 00000000a80425fb CapBnd: 00000000a80425fb CapAmb: 0000000000000000 NoNewPrivs:\t1\n";
    assert_eq!(sandbox.run().stdout, expected);
    sandbox.spec.process.capabilities.clear();
    assert!(sandbox.run().stdout.contains("CapBnd: 0000000000000000"));
    let sandbox = Sandbox::new(&["sleep", "100"]);
    let started = sandbox.start().unwrap();
    let output = started.exec(&process(&["sh", "-c", script])).unwrap();
    assert_eq!(
        output.stdout,
        expected.replace("NoNewPrivs:\t1", "NoNewPrivs:\t0")
    );
    started.kill();
}

fn links_in_place_of_kernel_file_systems_are_refused() {
    for name in ["proc", "sys", "dev"] {
        let sandbox = Sandbox::new(&["true"]);
        let outside = sandbox.directory.join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("ptmx"), "untouched").unwrap();
        symlink(
            "../../../../../../../../..".to_owned() + outside.to_str().unwrap(),
            sandbox.evil(name),
        )
        .unwrap();
        let error = sandbox.refused();
        assert!(error.to_string().contains(&format!("/{name}")), "{error}");
        symlink("tmp", sandbox.evil("link")).unwrap();
        fs::remove_file(sandbox.evil(name)).unwrap();
        fs::write(sandbox.evil(name), "a file").unwrap();
        assert!(sandbox.refused().to_string().contains(&format!("/{name}")));
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
        assert_eq!(fs::read_to_string(outside.join("ptmx")).unwrap(), "untouched");
    }
}

fn content(target: &str) -> MountSpec {
    let source = MountSource::Content {
        bytes: b"ours\n".to_vec().into(),
        mode: 0o444,
        uid: 0,
        gid: 0,
    };
    MountSpec {
        target: target.into(),
        source,
        read_only: false,
        propagation: None,
    }
}

fn links_never_lead_a_mount_out_of_the_root() {
    let mut sandbox = Sandbox::script("cat /etc/resolv.conf /etc/hosts /etc/hostname");
    let victim = sandbox.directory.join("victim");
    fs::write(&victim, "untouched").unwrap();
    fs::create_dir_all(sandbox.evil("etc")).unwrap();
    symlink(
        "../run/systemd/resolve/stub-resolv.conf",
        sandbox.evil("etc/resolv.conf"),
    )
    .unwrap();
    symlink(&victim, sandbox.evil("etc/hosts")).unwrap();
    symlink(
        format!("../../../../../..{}", victim.display()),
        sandbox.evil("etc/hostname"),
    )
    .unwrap();
    sandbox.spec.mounts = vec![
        content("/etc/resolv.conf"),
        content("/etc/hosts"),
        content("/etc/hostname"),
    ];
    assert_eq!(sandbox.run().stdout, "ours\nours\nours\n");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
    // Made inside, in the container's own layer.
    assert!(
        sandbox
            .directory
            .join("upper/run/systemd/resolve/stub-resolv.conf")
            .exists()
    );
    symlink("/proc/1/environ", sandbox.evil("etc/link")).unwrap();
    sandbox.spec.mounts = vec![content("/etc/link")];
    assert!(sandbox.refused().detail.contains("/proc"));
}

fn nothing_is_mounted_over_proc_and_sys() {
    let mut sandbox = Sandbox::new(&["true"]);
    let volume = sandbox.directory.join("volume");
    fs::create_dir(&volume).unwrap();
    let path = volume.to_str().unwrap().to_owned();
    let refused = [
        ("/proc", true),
        ("/proc/self", true),
        ("/proc/self/attr", true),
        ("/proc/sys/kernel", true),
        ("/proc/../proc/1", true),
        ("/sys", false),
        ("/sys/kernel", false),
        ("/", true),
        ("/etc/..", true),
    ];
    for (target, bind_too) in refused {
        let by_volume = MountSource::Volume {
            path: path.clone(),
            copy_up: false,
            subpath: None,
        };
        let by_bind = MountSource::Bind {
            path: path.clone(),
            recursive: false,
            create: false,
        };
        for source in [Some(by_volume), bind_too.then_some(by_bind)]
            .into_iter()
            .flatten()
        {
            sandbox.spec.mounts = vec![MountSpec {
                target: target.into(),
                source,
                read_only: false,
                propagation: None,
            }];
            let error = sandbox.refused();
            assert_eq!(error.exit_code(), 125, "{target}: {error}");
        }
    }
}

fn working_directories_cannot_be_descriptors() {
    for directory in [
        "/proc/self/fd/3",
        "/proc/self/fd/8",
        "/proc/1/root",
        "/proc/self/cwd",
        "/link",
    ] {
        let mut sandbox = Sandbox::script("pwd");
        symlink("/proc/self/fd/7", sandbox.evil("link")).unwrap();
        sandbox.spec.process.working_directory = directory.into();
        let error = sandbox.refused();
        assert!(error.stage.contains("working directory"), "{directory}: {error}");
    }
    let sandbox = Sandbox::new(&["sleep", "100"]);
    let started = sandbox.start().unwrap();
    for number in 3..32 {
        let mut process = process(&["pwd"]);
        process.working_directory = format!("/proc/self/fd/{number}");
        assert!(started.exec(&process).is_err());
    }
    started.kill();
}

fn users_are_numbers_or_names_of_the_image() {
    for user in ["4294967296", "-1", "0x0", "1:", ":1", "+0", "1000:0:0", "nobody"] {
        let mut sandbox = Sandbox::new(&["true"]);
        sandbox.spec.process.user = user.into();
        assert!(sandbox.refused().stage.contains(user), "{user}");
    }
    let mut sandbox = Sandbox::new(&["true"]);
    fs::create_dir_all(sandbox.evil("etc")).unwrap();
    symlink("/../../../../../../../../etc/passwd", sandbox.evil("etc/passwd")).unwrap();
    sandbox.spec.process.user = "daemon".into();
    assert!(
        sandbox.refused().detail.contains("daemon"),
        "the host's users are not the image's"
    );
    fs::remove_file(sandbox.evil("etc/passwd")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        sandbox.evil("etc/passwd"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o644),
        0,
    )
    .unwrap();
    sandbox.spec.process.user = "0".into();
    assert_eq!(sandbox.run().code, 0, "a pipe for a passwd file is no file");
}

fn devices_do_not_follow_links_of_the_image() {
    let mut sandbox = Sandbox::new(&["true"]);
    let outside = sandbox.directory.join("outside");
    fs::create_dir(&outside).unwrap();
    symlink(&outside, sandbox.evil("nodes")).unwrap();
    symlink(outside.join("node"), sandbox.evil("node")).unwrap();
    let device = |path: &str| DeviceSpec {
        host_path: "/dev/null".into(),
        container_path: path.into(),
        permissions: "rwm".into(),
    };
    sandbox.spec.devices = vec![device("/nodes/null")];
    assert_eq!(sandbox.run().code, 0);
    sandbox.spec.devices = vec![device("/node")];
    assert!(sandbox.refused().detail.contains("something else"));
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    fs::create_dir(sandbox.evil("run")).unwrap();
    fs::write(sandbox.evil("run/null"), "a file").unwrap();
    sandbox.spec.devices = vec![device("/run/null")];
    assert!(sandbox.refused().detail.contains("something else"));
}

fn the_runtime_cannot_be_executed_through_proc() {
    let own = fs::read("/proc/self/exe").unwrap();
    let script = "for i in $(seq 200); do for f in /proc/[0-9]*/exe; do (echo x > $f) 2>/dev/null && readlink $f; done; done; echo end";
    let sandbox = Sandbox::script(&format!("{script}; sleep 100"));
    let started = sandbox.start().unwrap();
    for _ in 0..20 {
        assert_eq!(started.exec(&process(&["true"])).unwrap().code, 0);
    }
    started.kill();
    assert_eq!(fs::read("/proc/self/exe").unwrap(), own);
    let sandbox = Sandbox::new(&["/entry"]);
    fs::write(sandbox.evil("entry"), "#!/proc/self/exe\n").unwrap();
    fs::set_permissions(sandbox.evil("entry"), fs::Permissions::from_mode(0o755)).unwrap();
    // Whatever the interpreter turns out to be, it is not writable by the container; here the kernel refuses.
    if let Ok(started) = sandbox.start() {
        started.kill();
    }
    assert_eq!(fs::read("/proc/self/exe").unwrap(), own);
}

fn volumes_are_filled_from_inside_the_image_only() {
    let mut sandbox = Sandbox::script("ls /data | wc -l");
    let (volume, secret) = (sandbox.directory.join("volume"), sandbox.directory.join("secret"));
    fs::create_dir(&volume).unwrap();
    fs::create_dir(&secret).unwrap();
    fs::write(secret.join("shadow"), "secret").unwrap();
    symlink(&secret, sandbox.evil("data")).unwrap();
    let source = MountSource::Volume {
        path: volume.to_str().unwrap().into(),
        copy_up: true,
        subpath: None,
    };
    sandbox.spec.mounts = vec![MountSpec {
        target: "/data".into(),
        source,
        read_only: false,
        propagation: None,
    }];
    assert_eq!(sandbox.run().stdout, "0\n");
    assert_eq!(fs::read_dir(&volume).unwrap().count(), 0);
}

fn mount_places_that_move_lead_nowhere_else() {
    let mut attacker = Sandbox::script(
        "cd /shared; while :; do mkdir -p a/b; mv a c; ln -s /../../../../../../../../../../tmp a; rm -f a; mv c a; done 2>/dev/null",
    );
    let volume = attacker.directory.join("volume");
    fs::create_dir(&volume).unwrap();
    let shared = || {
        let source = MountSource::Volume {
            path: volume.to_str().unwrap().into(),
            copy_up: false,
            subpath: None,
        };
        MountSpec {
            target: "/shared".into(),
            source,
            read_only: false,
            propagation: None,
        }
    };
    attacker.spec.mounts = vec![shared()];
    let attacker = attacker.start().unwrap();
    let name = format!("rcompose-moved-{}", std::process::id());
    let mut victim = Sandbox::new(&["true"]);
    victim.spec.mounts = vec![
        shared(),
        content(&format!("/shared/a/{name}")),
        content(&format!("/shared/a/b/{name}")),
    ];
    let mut started_ones = 0;
    for _ in 0..100 {
        // Sometimes the place is gone at the wrong moment, which is an error and nothing more.
        if let Ok(started) = victim.start() {
            let cgroup = started.running.cgroup.clone();
            started.finish();
            cgroup.remove().unwrap();
            started_ones += 1;
        }
    }
    attacker.kill();
    eprint!("({started_ones} of 100 started) ");
    assert!(
        !std::env::temp_dir().join(&name).exists(),
        "it was made on the host"
    );
    assert!(
        !crate::sandbox::mounted_below(std::path::Path::new(&name)),
        "it was mounted on the host"
    );
}

fn a_failed_start_leaves_nothing() {
    let open = || fs::read_dir("/proc/self/fd").unwrap().count();
    let children = || fs::read_to_string(format!("/proc/self/task/{}/children", std::process::id())).unwrap();
    let sandbox = Sandbox::new(&["nothing"]);
    sandbox.refused();
    let (before, children_before) = (open(), children());
    for _ in 0..5 {
        sandbox.refused();
    }
    assert_eq!(open(), before, "descriptors");
    let cgroup = rcompose_container::cgroup::Cgroup::at(&sandbox.spec.cgroup.path).unwrap();
    for directory in cgroup.directories() {
        assert!(
            !directory.exists() && !directory.parent().unwrap().exists(),
            "{}",
            directory.display()
        );
    }
    assert_eq!(children(), children_before, "zombies");
    assert!(!crate::sandbox::mounted_below(&sandbox.directory), "mounts");
}

fn an_enormous_target_is_an_error() {
    let mut sandbox = Sandbox::new(&["true"]);
    sandbox.spec.mounts = vec![content(&format!("/{}", "x".repeat(70_000)))];
    let error = sandbox.refused();
    assert_eq!(error.exit_code(), 125);
    sandbox.spec.mounts = vec![content(&"/x".repeat(1_000))];
    assert_eq!(sandbox.run().code, 0, "deep is not enormous");
}
