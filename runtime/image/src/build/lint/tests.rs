//! What `docker build --check` (docker 28.5, buildx 0.29) found in these Dockerfiles, with `ignored` and `sub` in the `.dockerignore`.
use super::*;
use crate::build::dockerfile::parse;

fn found(text: &str) -> Vec<(String, usize)> {
    let dockerfile = parse(text).expect("parses");
    let ignore = PatternList::parse("ignored\nsub\n").expect("patterns");
    let checked = Checked {
        text,
        dockerfile: &dockerfile,
        ignore: &ignore,
        arguments: &BTreeMap::new(),
        platform: "linux/amd64".to_owned(),
        environment_of: &|_| Some(vec!["PATH=/bin".to_owned()]),
    };
    let lint = lint(&checked).expect("options");
    let mut found: Vec<_> = lint
        .findings
        .iter()
        .map(|finding| (finding.rule.to_owned(), finding.line))
        .collect();
    found.sort();
    found
}

/// A Dockerfile, and the rules with their lines.
type Case = (&'static str, &'static [(&'static str, usize)]);

const CASES: &[Case] = &[
    ("FROM scratch AS Base\n", &[("StageNameCasing", 1)]),
    ("from scratch AS base\n", &[("FromAsCasing", 1)]),
    ("FROM scratch as base\n", &[("FromAsCasing", 1)]),
    ("FROM scratch As base\n", &[("FromAsCasing", 1)]),
    ("from scratch as base\nrun true\n", &[]),
    ("From scratch\nRUN true\n", &[("ConsistentInstructionCasing", 1)]),
    (
        "FROM scratch\nRun true\nrun x\nCOPY a b\n",
        &[
            ("ConsistentInstructionCasing", 2),
            ("ConsistentInstructionCasing", 3),
        ],
    ),
    ("from scratch\nRUN a\n", &[("ConsistentInstructionCasing", 1)]),
    (
        "FROM scratch AS a\nFROM scratch AS a\n",
        &[("DuplicateStageName", 2)],
    ),
    (
        "FROM scratch AS a\nFROM scratch AS A\n",
        &[("DuplicateStageName", 2), ("StageNameCasing", 2)],
    ),
    ("FROM scratch AS context\n", &[("ReservedStageName", 1)]),
    ("FROM scratch AS scratch\n", &[("ReservedStageName", 1)]),
    ("FROM scratch\nCMD echo hi\n", &[("JSONArgsRecommended", 2)]),
    (
        "FROM scratch\nENTRYPOINT echo hi\nCMD [\"x\"]\n",
        &[("JSONArgsRecommended", 2)],
    ),
    ("FROM scratch\nSHELL [\"/bin/bash\",\"-c\"]\nCMD echo hi\n", &[]),
    ("FROM scratch\nMAINTAINER me\n", &[("MaintainerDeprecated", 2)]),
    (
        "FROM busybox:$V\n",
        &[("InvalidDefaultArgInFrom", 1), ("UndefinedArgInFrom", 1)],
    ),
    ("ARG V\nFROM busybox:$V\n", &[("InvalidDefaultArgInFrom", 2)]),
    ("ARG V=test\nFROM busybox:$V\n", &[]),
    (
        "ARG VERSION=test\nFROM busybox:$VERSON\n",
        &[("InvalidDefaultArgInFrom", 2), ("UndefinedArgInFrom", 2)],
    ),
    ("FROM @host\n", &[]),
    ("ARG IMG\nFROM $IMG\n", &[("InvalidDefaultArgInFrom", 2)]),
    ("ARG IMG=\nFROM ${IMG:-busybox:test}\n", &[]),
    ("FROM ${IMG:-busybox:test}\n", &[("UndefinedArgInFrom", 1)]),
    (
        "FROM scratch\nWORKDIR a\nWORKDIR b\n",
        &[("WorkdirRelativePath", 2)],
    ),
    ("FROM scratch\nWORKDIR /a\nWORKDIR b\n", &[]),
    ("FROM scratch AS a\nWORKDIR /a\nFROM a\nWORKDIR b\n", &[]),
    ("FROM scratch\nWORKDIR $X/a\n", &[("UndefinedVar", 2)]),
    ("FROM scratch\nENV PTH=$PAHT:/x\n", &[("UndefinedVar", 2)]),
    (
        "FROM scratch\nENV A=${B:-x} C=${D-x} E=${F+x} G=${H:+x}\n",
        &[
            ("UndefinedVar", 2),
            ("UndefinedVar", 2),
            ("UndefinedVar", 2),
            ("UndefinedVar", 2),
        ],
    ),
    (
        "FROM scratch\nARG foo\nENV A=$foo B=$bar\n",
        &[("UndefinedVar", 3)],
    ),
    ("FROM scratch\nENV A=1 B=$A\n", &[("UndefinedVar", 2)]),
    ("FROM scratch\nENV PATH=$PATH:/x\n", &[]),
    (
        "FROM scratch\nRUN echo $NOPE\nCOPY $NOPE /x\n",
        &[("UndefinedVar", 3)],
    ),
    (
        "FROM scratch\nCOPY --chown=$U a /$D/\n",
        &[("UndefinedVar", 2), ("UndefinedVar", 2)],
    ),
    ("FROM scratch\nARG A=$B\n", &[("UndefinedVar", 2)]),
    ("FROM scratch\nARG B=1\nARG A=$B\n", &[]),
    (
        "FROM scratch\nENV DIRS='$HOMEX' B=\\$Q C=\"$R\"\n",
        &[("UndefinedVar", 2)],
    ),
    ("FROM scratch\nENV FOO=1\nLABEL a=$FO\n", &[("UndefinedVar", 3)]),
    (
        "FROM scratch\nARG TARGETARCH\nENV A=$TARGETARCH B=$TARGETOS\n",
        &[("UndefinedVar", 3)],
    ),
    (
        "FROM scratch\nCMD [\"a\"]\nCMD [\"b\"]\nENTRYPOINT [\"a\"]\nENTRYPOINT [\"b\"]\nHEALTHCHECK NONE\nHEALTHCHECK CMD x\n",
        &[
            ("MultipleInstructionsDisallowed", 2),
            ("MultipleInstructionsDisallowed", 4),
            ("MultipleInstructionsDisallowed", 6),
        ],
    ),
    (
        "FROM scratch\nCMD [\"a\"]\nCMD [\"b\"]\nCMD [\"c\"]\n",
        &[
            ("MultipleInstructionsDisallowed", 2),
            ("MultipleInstructionsDisallowed", 3),
        ],
    ),
    ("FROM scratch AS a\nCMD [\"a\"]\nFROM a\nCMD [\"b\"]\n", &[]),
    ("FROM scratch\nENV a b\n", &[("LegacyKeyValueFormat", 2)]),
    ("FROM scratch\nENV a b c=d\n", &[("LegacyKeyValueFormat", 2)]),
    ("FROM scratch\nLABEL a b\n", &[("LegacyKeyValueFormat", 2)]),
    (
        "FROM --platform=$TARGETPLATFORM busybox:test\n",
        &[("RedundantTargetPlatform", 1)],
    ),
    (
        "FROM --platform=${TARGETPLATFORM} busybox:test\n",
        &[("RedundantTargetPlatform", 1)],
    ),
    ("FROM --platform=$BUILDPLATFORM busybox:test\n", &[]),
    (
        "FROM --platform=linux/amd64 busybox:test\n",
        &[("FromPlatformFlagConstDisallowed", 1)],
    ),
    ("FROM --platform=linux/amd64 busybox:test AS build_amd64\n", &[]),
    (
        "FROM --platform=linux/arm64 scratch AS x\n",
        &[("FromPlatformFlagConstDisallowed", 1)],
    ),
    (
        "FROM scratch\nARG API_KEY\nARG TOKEN_FILE=1\nENV password=1 KEYRING=2 PUBLIC_KEY=3 my_secret_x=4 AUTH=5 apikey=1\n",
        &[
            ("SecretsUsedInArgOrEnv", 2),
            ("SecretsUsedInArgOrEnv", 3),
            ("SecretsUsedInArgOrEnv", 4),
            ("SecretsUsedInArgOrEnv", 4),
            ("SecretsUsedInArgOrEnv", 4),
            ("SecretsUsedInArgOrEnv", 4),
        ],
    ),
    ("FROM scratch\nCOPY ignored x\nADD ignored y\nCOPY sub/x /\n", &[]),
    ("FROM scratch\nCOPY . /\n", &[]),
    (
        "FROM scratch\nEXPOSE 80/TCP 81/tcp 82/UDP\n",
        &[("ExposeProtoCasing", 2), ("ExposeProtoCasing", 2)],
    ),
    (
        "FROM scratch\nEXPOSE 80:80 127.0.0.1:1:1 5000-5001 :80 80:80/TCP\n",
        &[
            ("ExposeInvalidFormat", 2),
            ("ExposeInvalidFormat", 2),
            ("ExposeInvalidFormat", 2),
            ("ExposeProtoCasing", 2),
        ],
    ),
    (
        "# check=skip=StageNameCasing\nFROM scratch AS A\nCMD x\n",
        &[("JSONArgsRecommended", 3)],
    ),
    ("# check=skip=all\nFROM scratch AS A\nCMD x\n", &[]),
    (
        "# check=skip=JSONArgsRecommended,StageNameCasing\nFROM scratch AS A\nCMD x\n",
        &[],
    ),
    (
        "# check=error=true\nFROM scratch AS A\n",
        &[("StageNameCasing", 2)],
    ),
    (
        "# check=skip=StageNameCasing;error=true\nFROM scratch AS A\nCMD x\n",
        &[("JSONArgsRecommended", 3)],
    ),
    ("FROM scratch\nRUN a \\\n\n  b\n", &[("NoEmptyContinuation", 4)]),
    (
        "FROM scratch\nRUN a \\\n\n\n  b\nRUN c \\\n\n d\n",
        &[("NoEmptyContinuation", 5), ("NoEmptyContinuation", 8)],
    ),
    ("FROM scratch\nRUN a \\\n  # comment\n  b\n", &[]),
    ("# comment\nFROM scratch AS x\n# desc\nARG foo=1\n", &[]),
    (
        "# base is x\nFROM scratch AS base\n# other text\nARG foo=1\n",
        &[],
    ),
    (
        "# check=experimental=all\n# foo is x\nFROM scratch AS base\n# bar text\nARG foo=1\n",
        &[
            ("InvalidDefinitionDescription", 3),
            ("InvalidDefinitionDescription", 5),
        ],
    ),
    (
        "# check=experimental=InvalidDefinitionDescription\n# text\nFROM scratch AS base\n",
        &[("InvalidDefinitionDescription", 3)],
    ),
    ("FROM scratch\nONBUILD CMD x\nONBUILD ENV a b\n", &[]),
    ("FROM scratch\nHEALTHCHECK CMD x y\n", &[]),
    (
        "FROM scratch\nADD --checksum=$C https://x.example/y /\n",
        &[("UndefinedVar", 2)],
    ),
    (
        "FROM scratch\nCOPY <<EOF /x\n$UNDEFD\nEOF\n",
        &[("UndefinedVar", 2)],
    ),
    ("FROM scratch\nCOPY <<'EOF' /x\n$UNDEFD\nEOF\n", &[]),
    (
        "FROM scratch\nRUN --mount=type=cache,target=$T true\n",
        &[("UndefinedVar", 2)],
    ),
    (
        "FROM scratch AS a\nRUN x\nFROM busybox:test\nCMD x\n",
        &[("JSONArgsRecommended", 4)],
    ),
];

#[test]
fn docker_and_we_find_the_same() {
    for (text, expected) in CASES {
        let expected: Vec<_> = expected
            .iter()
            .map(|(rule, line)| ((*rule).to_owned(), *line))
            .collect();
        assert_eq!(found(text), expected, "{text}");
    }
}
