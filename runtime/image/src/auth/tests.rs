//! Challenges as registries really write them, logins as docker really stores them, and who may see a login.

use super::login::ask_helper;
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
        assert!(ask_helper(helper, "docker.io").is_err());
    }
}
