//! Challenges as registries really write them, logins as docker really stores them, and who may see a login.

use super::*;

fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
    Challenge::Bearer {
        realm: realm.to_owned(),
        service: service.map(str::to_owned),
        scope: scope.map(str::to_owned),
    }
}

#[test]
fn reads_challenges() {
    let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/mysql:pull""#;
    let parse = |headers: &[&str]| parse_challenges(headers.iter().copied());
    let expected = bearer(
        "https://auth.docker.io/token",
        Some("registry.docker.io"),
        Some("repository:library/mysql:pull"),
    );
    assert_eq!(parse(&[hub]), Some(expected.clone()));
    assert_eq!(parse(&["Basic realm=\"x\"", hub]), Some(expected.clone()));
    assert_eq!(parse(&[&format!("Basic realm=\"a, b\", {hub}")]), Some(expected));
    assert_eq!(parse(&["basic realm=x"]), Some(Challenge::Basic));
    assert_eq!(
        parse(&[r#"bearer realm="https://a/\"b\"" , scope="a b,c""#]),
        Some(bearer("https://a/\"b\"", None, Some("a b,c")))
    );
    assert_eq!(parse(&["Negotiate"]), None);
    assert_eq!(parse(&["Bearer service=\"x\""]), None);
    assert_eq!(
        parse(&["Bearer realm=\"unterminated"]),
        Some(bearer("unterminated", None, None))
    );
    assert_eq!(parse(&["", ",,,", "="]), None);
}

#[test]
fn finds_logins_as_docker_stores_them() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.json");
    let text = r#"{"auths":{
        "https://index.docker.io/v1/":{"auth":"dXNlcjpwYTpzcw=="},
        "registry.example:5000":{"auth":"YTpi"},
        "https://token.example":{"auth":"","identitytoken":"idt"},
        "broken.example":{"auth":"%%%"},
        "empty.example":{}},"HttpHeaders":{"X":"y"}}"#;
    std::fs::write(&path, text).unwrap();
    let find = |registry: &str| find_login(Some(&path), registry);
    let password = |user: &str, password: &str| {
        Some(Login::Password {
            user: user.to_owned(),
            password: password.to_owned(),
        })
    };
    assert!(find("docker.io").unwrap() == password("user", "pa:ss"));
    assert!(find("registry.example:5000").unwrap() == password("a", "b"));
    assert!(find("token.example").unwrap() == Some(Login::IdentityToken("idt".to_owned())));
    for registry in [
        "registry.example",
        "example",
        "empty.example",
        "index.docker.io.evil.example",
    ] {
        assert!(find(registry).unwrap().is_none(), "{registry}");
    }
    assert!(
        find("broken.example")
            .err()
            .unwrap()
            .to_string()
            .contains("broken.example")
    );
    assert!(
        find_login(Some(&directory.path().join("absent")), "docker.io")
            .unwrap()
            .is_none()
    );
}

#[test]
fn a_login_stays_in_its_domain() {
    let allowed = |registry: &str, realm: &str| {
        let endpoint = Endpoint {
            base: format!("https://{registry}"),
            registry: registry.to_owned(),
            ca_file: None,
            token_servers: vec!["sso.corp.test".to_owned()],
        };
        may_have_login(&endpoint, realm)
    };
    for (registry, realm) in [
        ("registry-1.docker.io", "https://auth.docker.io/token"),
        ("registry.gitlab.com", "https://gitlab.com/jwt/auth"),
        ("ghcr.io", "https://ghcr.io/token"),
        ("registry.example:5000", "https://registry.example:5001/auth"),
        ("registry.example", "https://sso.corp.test/auth"),
    ] {
        assert!(allowed(registry, realm), "{registry} {realm}");
    }
    for (registry, realm) in [
        (
            "registry-1.docker.io",
            "https://auth.docker.io.evil.example/token",
        ),
        ("registry-1.docker.io", "https://evildocker.io/token"),
        ("ghcr.io", "https://evil.io/token"),
        ("quay.io", "https://io/token"),
        ("127.0.0.1:5000", "http://127.0.0.2:5000/token"),
        ("10.0.0.1", "http://20.0.0.1/token"),
        ("localhost:5000", "http://evil.example/token"),
        ("registry.example", "https://auth.corp.test/auth"),
    ] {
        assert!(!allowed(registry, realm), "{registry} {realm}");
    }
}

#[test]
fn refuses_helpers_that_are_paths() {
    for helper in ["../../bin/sh", "a b", "x;y", "/bin/sh"] {
        assert!(helper::get(helper, "docker.io").is_err());
    }
}

#[test]
fn a_login_is_kept_beside_everything_else() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fresh/config.json");
    let kept = keep_login(&path, "r.example:5000", "me", "pa:ss").unwrap();
    assert_eq!(kept, Keeper::File(path.clone()));
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    let found = find_login(Some(&path), "r.example:5000").unwrap();
    assert!(
        found
            == Some(Login::Password {
                user: "me".to_owned(),
                password: "pa:ss".to_owned()
            })
    );

    let before = r#"{"psFormat":"x","auths":{"https://r.example:5000/v2/":{"auth":"YTpi"},"other":{"auth":"YTpi"}},"HttpHeaders":{"A":"b"}}"#;
    let link = directory.path().join("link.json");
    let real = directory.path().join("real.json");
    std::fs::write(&real, before).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    keep_login(&link, "docker.io", "me", "secret").unwrap();
    assert!(link.is_symlink());
    let text = std::fs::read_to_string(&real).unwrap();
    let after: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        after["auths"]["https://index.docker.io/v1/"]["auth"],
        "bWU6c2VjcmV0"
    );
    assert_eq!(
        (&after["psFormat"], &after["HttpHeaders"]["A"]),
        (&"x".into(), &"b".into())
    );
    assert!(text.starts_with("{\n\t\"psFormat\""), "{text}");
    assert_eq!(mode(&real), 0o600);

    // Every spelling of the registry goes, nothing else does.
    assert!(forget_login(&link, "r.example:5000").unwrap());
    assert!(!forget_login(&link, "r.example:5000").unwrap());
    assert!(forget_login(&link, "docker.io").unwrap());
    let text = std::fs::read_to_string(&real).unwrap();
    assert!(
        text.contains("other") && !text.contains("r.example") && !text.contains("index.docker.io"),
        "{text}"
    );

    std::fs::write(&real, "{broken").unwrap();
    assert!(keep_login(&link, "a", "b", "c").is_err());
    assert_eq!(
        std::fs::read_to_string(&real).unwrap(),
        "{broken",
        "a file that cannot be read is not replaced"
    );
}
