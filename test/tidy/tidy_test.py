#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows that each of tidy's rules can fail, and passes what it should."""

import pathlib
import sys
import tempfile
import traceback

import tidy

SPDX = "// SPDX-License-Identifier: Apache-2.0\n"
HEADER = SPDX + "//\n// What it is.\n#pragma once\n"


def violations(rule, files):
    """What `rule` says about a tree of these files."""
    with tempfile.TemporaryDirectory() as root:
        for name, text in files.items():
            path = pathlib.Path(root, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tidy.violations_of(pathlib.Path(root))[rule]


def expect(rule, files, *wanted):
    """`rule` finds exactly the violations that begin so."""
    found = violations(rule, files)
    assert len(found) == len(wanted), f"expected {wanted}, found {found}"
    for violation, start in zip(found, wanted):
        assert violation.startswith(start), f"expected {start}, found {violation}"


def including(*headers):
    return SPDX + "".join(f'#include "{h}"\n' for h in headers)


HOUSE = {"core/base/status.h": HEADER, "core/net/tls.h": HEADER, "core/keys/key_manager.h": HEADER,
         "server/issue/issuer.h": HEADER, "agent/cache/cache.h": HEADER,
         "attestors/unix/unix_attestor.h": HEADER, "test/fake/fake_clock.h": HEADER,
         "server/config.h": HEADER}


def includes_may_go_down():
    expect("floors", HOUSE | {
        "server/issue/a.cc": including("core/net/tls.h", "server/issue/issuer.h"),
        "server/server.cc": including("server/issue/issuer.h"),
        "attestors/workload/attestors.cc": including("attestors/unix/unix_attestor.h"),
        "core/net/a_test.cc": including("test/fake/fake_clock.h"),
        "core/net/b.cc": including("google/protobuf/any.pb.h")})


def includes_going_up_are_found():
    expect("floors", HOUSE | {"core/base/a.cc": including("core/base/status.h", "core/net/tls.h")},
           "core/base/a.cc:3: core/base (floor 0) looks up to core/net/tls.h (floor 3)")
    unix = including("attestors/unix/unix_attestor.h")
    expect("floors", HOUSE | {"attestors/workload/a.cc": unix}, "attestors/workload/a.cc:2: ")
    expect("floors", HOUSE | {"server/issue/a.cc": including("server/config.h")},
           "server/issue/a.cc:2: ")


def includes_going_sideways_are_found():
    expect("floors", HOUSE | {"core/spiffe/a.h": HEADER + '#include "core/keys/key_manager.h"\n'},
           "core/spiffe/a.h:5: core/spiffe (floor 2) looks sideways to core/keys/key_manager.h")


def programs_never_meet():
    expect("floors", HOUSE | {"server/api/a.cc": including("agent/cache/cache.h"),
                              "agent/agent.cc": including("server/config.h")},
           "agent/agent.cc:2: agent must not know server",
           "server/api/a.cc:2: server must not know agent")


def a_folder_without_a_floor_is_found():
    expect("floors", {"core/extra/a.cc": SPDX}, "core/extra/a.cc:1: core/extra has no floor")


def only_tests_include_test_files():
    expect("floors", HOUSE | {"core/net/a.cc": including("test/fake/fake_clock.h")},
           "core/net/a.cc:2: only tests may include test/fake/fake_clock.h")


def edge_headers_stay_at_the_edge():
    def use(header):
        return SPDX + f"#include <{header}>\n"
    expect("edge-headers", {
        "core/crypto/a.cc": use("openssl/evp.h"), "server/api/a.cc": use("grpcpp/grpcpp.h"),
        "server/store/a.cc": use("sqlite3.h"), "core/base/json.cc": use("nlohmann/json.hpp"),
        "core/spiffe/a_test.cc": use("openssl/evp.h"), "agent/client/a.cc": use("a/b.pb.h")})
    expect("edge-headers", {
        "core/base/a.cc": use("nlohmann/json.hpp"), "core/net/a.cc": use("spire/api/a.pb.h"),
        "core/spiffe/a.cc": use("openssl/evp.h"), "server/ca/a.cc": use("sqlite3.h"),
        "server/issue/a.cc": use("grpcpp/grpcpp.h"), "server/server.cc": use("httplib.h")},
           "core/base/a.cc:2: nlohmann/json.hpp belongs to core/base/json.cc", "core/net/a.cc:2:",
           "core/spiffe/a.cc:2:", "server/ca/a.cc:2:", "server/issue/a.cc:2:",
           "server/server.cc:2:")


def banned_calls_are_found_outside_their_place():
    lines = ["auto t = std::chrono::system_clock::now();", "std::this_thread::sleep_for(d);",
             "std::random_device r;", "getenv(name);", "std::mutex mu;", "std::jthread t;",
             "t.detach();", "throw 1;", "auto* p = new int;", "delete p;", "free(p);"]
    expect("banned-calls", {"core/net/a.cc": SPDX + "\n".join(lines) + "\n"},
           *[f"core/net/a.cc:{n}: " for n in range(2, 2 + len(lines))])
    expect("banned-calls", {"core/base/clock.cc": lines[0] + "\n",
                            "core/base/mutex.h": lines[4] + "\n"})


def what_only_looks_like_a_banned_call_is_not():
    expect("banned-calls", {"core/net/a.cc": (
        "// throw, new and delete are words\n/* getenv(x)\n new y */\n"
        'const char* s = "std::mutex \\" delete";\nauto r = R"x(throw new)" free(p))x";\n'
        "A(const A&) = delete;\nvoid operator delete(void*);\n"
        "auto p = std::unique_ptr<A>(new A());\nint renew = 1'000'000; int newer = renew;\n"
        "#include <new>\nvoid Done() { delete this; }\n")})


def a_missing_licence_line_is_found():
    expect("licences", {"a.cc": "int x;\n", "b.py": "#!/usr/bin/env python3\nx = 1\n",
                        "c.sh": "#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\n", "d.cc": SPDX},
           "a.cc:1:", "b.py:1:")


def a_header_says_what_it_is_and_is_included_once():
    expect("headers", {"core/base/a.h": HEADER, "core/base/b.h": SPDX + "#pragma once\n",
                       "core/base/c.h": SPDX + "//\n// What it is.\n"},
           "core/base/b.h:2:", "core/base/c.h:1: `#pragma once` is missing")


def what_is_too_large_is_found():
    body = "int F(int n) {\n" + "  n++;\n" * 59 + "}\n"
    expect("sizes", {"core/base/a.cc": SPDX + "namespace writ {\n" + body + "}\n"},
           "core/base/a.cc:3: F has 61 lines, more than 60")
    method = ("class A {\n  int n_{1};\n  void G() const {\n" + "    if (x) { y(); }\n" * 60 +
              "  }\n};\n")
    expect("sizes", {"core/base/a.h": method}, "core/base/a.h:3: G has 62 lines")
    expect("sizes", {"core/base/a_test.cc": body, "core/base/b.cc": body.replace("n++", "", 1)
                     .replace("  ;\n", "")})
    expect("sizes", {"core/base/a.cc": "//" + "x" * 99 + "\n"}, "core/base/a.cc:1: 101 columns")
    expect("sizes", {"core/base/a.cc": "\n" * 501}, "core/base/a.cc:501: 501 lines")


def a_file_that_decides_needs_a_test_that_sees_it():
    decides = "int F(int n) {\n  if (n > 0) return 1;\n  return 0;\n}\n"
    expect("tests", {"core/base/a.cc": decides, "core/base/b.cc": "int F() { return 1; }\n",
                     "server/main.cc": decides},
           "core/base/a.cc:1: decides something")
    expect("tests", {"core/base/a.cc": including("core/base/a.h") + decides,
                     "core/base/a.h": HEADER,
                     "core/base/a_more.cc": including("core/base/a.h") + decides,
                     "core/base/inner.cc": including("core/base/inner.h") + decides,
                     "core/base/inner.h": HEADER,
                     "core/base/a_test.cc": including("core/base/a.h")},
           "core/base/inner.cc:1:")


def unfinished_work_is_found():
    expect("words", {"core/base/a.cc": "// TO" + "DO: more\nmkdtemp(\"/tmp/XXXXXX\");\n"},
           "core/base/a.cc:1:")


def the_changelog_keeps_its_shape():
    good = ("# Changelog\n\n## [Unreleased]\n### Added\n- a\n\n"
            "## [0.1.0] - 2026-01-31\n### Fixed\n- b\n")
    expect("changelog", {"CHANGELOG.md": good})
    expect("changelog", {"CHANGELOG.md": good.replace("### Added", "### News")}, "CHANGELOG.md:4:")
    expect("changelog", {"CHANGELOG.md": good.replace(" - 2026-01-31", "")}, "CHANGELOG.md:7:")
    expect("changelog", {"CHANGELOG.md": good.replace("## [Unreleased]\n", "", 1)},
           "CHANGELOG.md:1:")
    expect("changelog", {"CHANGELOG.md": good.replace("# Changelog", "Changes", 1)},
           "CHANGELOG.md:1:")


TESTS = [includes_may_go_down, includes_going_up_are_found, includes_going_sideways_are_found,
         programs_never_meet, a_folder_without_a_floor_is_found, only_tests_include_test_files,
         edge_headers_stay_at_the_edge, banned_calls_are_found_outside_their_place,
         what_only_looks_like_a_banned_call_is_not, a_missing_licence_line_is_found,
         a_header_says_what_it_is_and_is_included_once, what_is_too_large_is_found,
         a_file_that_decides_needs_a_test_that_sees_it, unfinished_work_is_found,
         the_changelog_keeps_its_shape]


def main():
    failed = 0
    for test in TESTS:
        try:
            test()
            print(f"ok {test.__name__}")
        except AssertionError:
            failed += 1
            traceback.print_exc(file=sys.stdout)
            print(f"FAIL {test.__name__}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
