//! The language as users write it.
use super::*;

fn one(text: &str) -> Instruction {
    let parsed = parse(&format!("FROM scratch\n{text}")).expect("parses");
    parsed
        .instructions
        .into_iter()
        .nth(1)
        .expect("one instruction")
        .instruction
}

fn error(text: &str) -> String {
    parse(&format!("FROM scratch\n{text}"))
        .expect_err("refused")
        .to_string()
}

#[test]
fn continuations_comments_and_line_numbers() {
    let parsed = parse("# syntax=docker/dockerfile:1\n# escape=\\\n\nFROM debian AS Base\nRUN a \\\n  # in between\n\n  && b\n").expect("parses");
    assert_eq!(parsed.directives.syntax.as_deref(), Some("docker/dockerfile:1"));
    let run = &parsed.instructions[1];
    assert_eq!((run.first_line, run.last_line), (5, 8));
    let Instruction::Run(run) = &run.instruction else {
        panic!("{run:?}")
    };
    assert_eq!(run.command, Words::Shell("a   && b".to_owned()));
    let Instruction::From(from) = &parsed.instructions[0].instruction else {
        panic!("no FROM")
    };
    assert_eq!(from.name.as_deref(), Some("base"));
}

#[test]
fn a_backtick_can_be_the_escape() {
    let parsed = parse("# escape=`\nFROM scratch\nRUN a `\n b \\\nCMD c").expect("parses");
    let Instruction::Run(run) = &parsed.instructions[1].instruction else {
        panic!("no RUN")
    };
    assert_eq!(run.command, Words::Shell("a  b \\".to_owned()));
    assert_eq!(parsed.instructions.len(), 3);
}

#[test]
fn heredocs_of_run_and_copy() {
    let Instruction::Run(run) = one("RUN <<EOF\necho $A\nEOF\n") else {
        panic!("no RUN")
    };
    assert_eq!(
        (run.heredocs[0].content.as_str(), run.heredocs[0].expand),
        ("echo $A\n", true)
    );
    let Instruction::Copy(copy) = one("COPY <<-'a.txt' <<b /dest/\n\tone\n\ta.txt\n\ttwo\nb\n") else {
        panic!("no COPY")
    };
    assert_eq!(
        (copy.heredocs[0].text().as_str(), copy.heredocs[0].expand),
        ("one\n", false)
    );
    assert_eq!(
        (copy.heredocs[1].content.as_str(), copy.heredocs[1].expand),
        ("\ttwo\n", true)
    );
    assert_eq!((copy.sources.len(), copy.destination.as_str()), (0, "/dest/"));
    assert!(error("RUN <<EOF\nx").contains("not closed"));
    assert!(
        error("RUN cat <<EOF>x\nEOF\n").contains("`EOF>x` is not closed"),
        "a word is whole"
    );
    for plain in [
        "RUN cat <<<word",
        "RUN echo \"<<EOF\"",
        "RUN [\"echo\", \"<<EOF\"]",
        "CMD <<EOF",
    ] {
        assert!(
            !matches!(one(plain), Instruction::Run(run) if !run.heredocs.is_empty()),
            "{plain}"
        );
    }
    let trigger = one("ONBUILD RUN <<EOF\nx\nEOF\n");
    assert_eq!(trigger, Instruction::OnBuild("RUN <<EOF\nx\nEOF".to_owned()));
}

#[test]
fn directives_hold_in_front_only_and_once() {
    let escape = |text: &str| parse(text).expect("parses").directives.escape;
    assert_eq!(escape("#  EsCape =  ` \r\nFROM scratch\r\n"), '`');
    for late in [
        "# a comment\n# escape=`\nFROM scratch",
        "\n# escape=`\nFROM scratch",
        "#!/bin/x\n# escape=`\nFROM scratch",
    ] {
        assert_eq!(escape(late), '\\', "{late}");
    }
    assert!(parse("# escape=`\n# escape=`\nFROM scratch").is_err_and(|error| error.line == 2));
    assert!(parse("# escape=x\nFROM scratch").is_err());
}

#[test]
fn line_ends_and_blanks_do_not_matter_outside_documents() {
    let Instruction::Copy(copy) = one("COPY <<EOF /x\r\nline\r\nEOF\r\n") else {
        panic!("no COPY")
    };
    assert_eq!(copy.heredocs[0].content, "line\r\n");
    assert_eq!(one("ENV A=b\\  \r\nc\r\n"), one("ENV A=bc"));
    assert_eq!(one("RUN a \\\\\nCMD x"), one("RUN a \\\\"));
    assert_eq!(one("CMD x   "), Instruction::Cmd(Words::Shell("x".into())));
    assert_eq!(one("WORKDIR /a b"), Instruction::Workdir("/a b".into()));
    assert_eq!(one("RUN"), one("RUN  "));
}

#[test]
fn forms_of_commands() {
    assert_eq!(
        one("CMD [\"a\", \"b c\"]"),
        Instruction::Cmd(Words::Exec(vec!["a".into(), "b c".into()]))
    );
    assert_eq!(one("CMD ['a']"), Instruction::Cmd(Words::Shell("['a']".into())));
    assert_eq!(
        one("SHELL [\"/bin/bash\", \"-c\"]"),
        Instruction::Shell(vec!["/bin/bash".into(), "-c".into()])
    );
    assert!(error("SHELL bash").contains("JSON list"));
    assert!(error("CMD [\"a\", 1]").contains("`1` in a JSON list is no string"));
    assert_eq!(
        one("CMD [\"a\"] b"),
        Instruction::Cmd(Words::Shell("[\"a\"] b".into()))
    );
}

#[test]
fn flags_of_copy_run_and_healthcheck() {
    let Instruction::Copy(copy) =
        one("COPY --from=base --chown=1:2 --chmod=755 --link --exclude=*.md a b /c/")
    else {
        panic!("no COPY")
    };
    assert_eq!(
        (copy.from.as_deref(), copy.chown.as_deref(), copy.chmod.as_deref()),
        (Some("base"), Some("1:2"), Some("755"))
    );
    assert!(copy.link && copy.exclude == ["*.md"] && copy.sources == ["a", "b"] && copy.destination == "/c/");
    let Instruction::Run(run) = one("RUN --mount=type=cache,target=/x,sharing=locked --network=none a")
    else {
        panic!("no RUN")
    };
    assert_eq!(
        (run.mounts[0].kind, run.mounts[0].target.as_deref()),
        (MountKind::Cache, Some("/x"))
    );
    let Instruction::Healthcheck(HealthcheckInstruction::Probe {
        interval, command, ..
    }) = one("HEALTHCHECK --interval=5s CMD true")
    else {
        panic!("no HEALTHCHECK")
    };
    assert_eq!(
        (interval.as_deref(), command),
        (Some("5s"), Words::Shell("true".into()))
    );
    assert_eq!(
        one("HEALTHCHECK NONE"),
        Instruction::Healthcheck(HealthcheckInstruction::None)
    );
}

#[test]
fn key_values_old_and_new() {
    let pairs = |text: &str| {
        let Instruction::Env(pairs) = one(text) else {
            panic!("no ENV")
        };
        pairs
            .into_iter()
            .map(|pair| (pair.name, pair.value))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        pairs("ENV A=1 B=\"x y\" C=a\\ b"),
        [
            ("A".into(), "1".into()),
            ("B".into(), "\"x y\"".into()),
            ("C".into(), "a\\ b".into())
        ]
    );
    assert_eq!(pairs("ENV A the rest"), [("A".to_owned(), "the rest".to_owned())]);
    assert!(error("ENV A=1 B").contains("has no `=`"));
}

#[test]
fn mistakes_say_the_line_and_the_nearest_name() {
    assert_eq!(
        error("RUM x"),
        "line 2: unknown instruction `RUM`; did you mean `RUN`?"
    );
    assert_eq!(
        error("COPY --chwon=1 a b"),
        "line 2: COPY has no flag --chwon; did you mean `chown`?"
    );
    for (text, message) in [
        ("COPY --chown=1 --chown=2 a b", "given twice"),
        ("COPY --chown a b", "needs a value"),
        ("COPY --link=1 a b", "neither true nor false"),
        ("ENV --x=1 A=b", "ENV has no flag"),
        ("RUN --mount=type=cach,target=/x a", "did you mean `cache`"),
        ("RUN --mount=type=bind,target=/x,mode=755 a", "no field `mode`"),
        ("RUN --mount=type=tmpfs,target=/x,sise=1 a", "did you mean `size`"),
        ("RUN --mount=type=cache,target a", "needs a value"),
        ("COPY --from=$X a b", "takes no variable"),
        ("ARG A = b", "without a name"),
        ("HEALTHCHECK NONE x", "no argument"),
        ("HEALTHCHECK CMD", "and a command"),
        ("VOLUME [\"\"]", "not empty"),
        ("ONBUILD ONBUILD RUN x", "not allowed"),
        ("ONBUILD RUM x", "did you mean `RUN`"),
    ] {
        assert!(error(text).contains(message), "{text}: {}", error(text));
    }
    assert_eq!(
        error("COPY a"),
        "line 2: COPY takes at least one source and a destination"
    );
    assert!(
        parse("RUN x")
            .expect_err("refused")
            .message
            .contains("before the first FROM")
    );
    assert!(parse("# only a comment\n").is_err());
}
