// SPDX-License-Identifier: Apache-2.0
#include "core/base/config.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "core/base/file.h"
#include "test/fake/fake_clock.h"
#include "test/support/paths.h"

namespace writ {
namespace {

enum class Store { kDisk, kMemory };

Status NoSpaces(std::string_view text) {
  if (text.find(' ') != text.npos) return InvalidArgument("must not hold spaces");
  return OkStatus();
}

// A small program's configuration with a setting of every type.
struct Sample {
  std::string name;
  std::string socket = "/run/a.sock";
  bool loud = false;
  int64_t count = 3;
  Duration ttl = std::chrono::hours(1);
  std::vector<std::string> admins;
  Store store = Store::kDisk;
  std::string disk_path = "/var";
  std::vector<std::string> methods{"token"};
  Secret token;
  LogSettings log;
};

class ConfigTest : public testing::Test {
 protected:
  ConfigTest() {
    schema_.String("name", &sample_.name, "Its name.", {.required = true, .check = NoSpaces});
    schema_.String("listen.socket", &sample_.socket, "Where it listens.");
    schema_.Bool("listen.loud", &sample_.loud, "Whether it is loud.");
    schema_.Int("count", &sample_.count, "How many.", {.min = 1, .max = 9});
    schema_.Period("ttl", &sample_.ttl, "How long.", {.min = std::chrono::minutes(1)});
    schema_.List("admins", &sample_.admins, "Who rules.", {.check = NoSpaces});
    schema_.Kind<Store>("store", &sample_.store,
                        {{"disk", Store::kDisk}, {"memory", Store::kMemory}}, "Where to.");
    schema_.String("store.disk.path", &sample_.disk_path, "Which directory.");
    schema_.Kinds("methods", &sample_.methods, {"token", "cert"}, "Which ways.");
    schema_.SecretText("methods.token.value", &sample_.token, "The token.",
                       {.shorthand = "token_value", .check = NoSpaces});
    DeclareLogSettings(schema_, &sample_.log);
  }

  // Loads a file of this text, with these flags and variables; the message, or "" when all is well.
  std::string Load(std::string_view text, std::vector<std::string> arguments = {},
                   Environment environment = {}) {
    EXPECT_TRUE(WriteFileAtomic(dir_ / "s.yaml", text, 0600).ok());
    arguments.insert(arguments.begin(), {"--config", dir_ / "s.yaml"});
    std::string message = schema_.Load(arguments, environment).message();
    for (size_t at; (at = message.find(dir_.path() + "/")) != message.npos;) {
      message.erase(at, dir_.path().size() + 1);
    }
    return message;
  }

  TempDir dir_;
  Sample sample_;
  ConfigSchema schema_{"sampled"};
};

TEST_F(ConfigTest, ReadsEveryTypeFromAFile) {
  EXPECT_EQ(Load("name: n\nlisten:\n  socket: \"/x y\"\n  loud: true\ncount: 9\nttl: 1h30m\n"
                 "admins: [a, \"b\"]\nstore: {disk: {path: /p}}\nmethods:\n  token: {value: v}\n"
                 "  cert:\nlog: {level: debug, format: json}\n"),
            "");
  EXPECT_EQ(sample_.name, "n");
  EXPECT_EQ(sample_.socket, "/x y");
  EXPECT_TRUE(sample_.loud);
  EXPECT_EQ(sample_.count, 9);
  EXPECT_EQ(sample_.ttl, std::chrono::minutes(90));
  EXPECT_EQ(sample_.admins, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(sample_.store, Store::kDisk);
  EXPECT_EQ(sample_.disk_path, "/p");
  EXPECT_EQ(sample_.methods, (std::vector<std::string>{"token", "cert"}));
  EXPECT_EQ(sample_.token.Reveal(), "v");
  EXPECT_EQ(sample_.log.level, LogLevel::kDebug);
  EXPECT_EQ(sample_.log.format, LogFormat::kJson);
}

TEST_F(ConfigTest, WhatIsNotSetKeepsItsDefault) {
  EXPECT_EQ(Load("name: n\nlisten:\nlog: {}\n"), "");
  EXPECT_EQ(sample_.socket, "/run/a.sock");
  EXPECT_EQ(sample_.count, 3);
  EXPECT_EQ(sample_.methods, std::vector<std::string>{"token"});
  EXPECT_EQ(schema_.Where("count"), "default");
  EXPECT_EQ(schema_.Where("name"), dir_ / "s.yaml:1:7");
}

TEST_F(ConfigTest, TheLaterSourceWins) {
  EXPECT_EQ(Load("name: file\ncount: 2\nttl: 5m\n", {"--name", "flag", "--admins=x, y"},
                 {{"WRIT_NAME", "variable"}, {"WRIT_COUNT", "4"}, {"WRIT_ADMINS", "z"}}),
            "");
  EXPECT_EQ(sample_.name, "flag");
  EXPECT_EQ(sample_.count, 4);
  EXPECT_EQ(sample_.ttl, std::chrono::minutes(5));
  EXPECT_EQ(sample_.admins, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(schema_.Where("name"), "--name");
  EXPECT_EQ(schema_.Where("count"), "WRIT_COUNT");
}

TEST_F(ConfigTest, WorksWithoutAFile) {
  Status status = schema_.Load({"--listen-loud", "--store", "memory", "--methods=token,cert",
                                "--listen-socket="},
                               {{"WRIT_NAME", "n"}, {"WRIT_TOKEN_VALUE", "t"}, {"PATH", "/bin"}});
  ASSERT_TRUE(status.ok()) << status.ToString();
  EXPECT_TRUE(sample_.loud);
  EXPECT_EQ(sample_.store, Store::kMemory);
  EXPECT_EQ(sample_.methods.size(), 2u);
  EXPECT_EQ(sample_.socket, "");
  EXPECT_EQ(sample_.token.Reveal(), "t");
}

TEST_F(ConfigTest, TheFileCanBeNamedByTheEnvironment) {
  ASSERT_TRUE(WriteFileAtomic(dir_ / "e.yaml", "name: n\n", 0600).ok());
  ASSERT_TRUE(schema_.Load({}, {{"WRIT_CONFIG", dir_ / "e.yaml"}}).ok());
  EXPECT_EQ(sample_.name, "n");
}

TEST_F(ConfigTest, ABoolFlagMayBeSpelledOut) {
  EXPECT_EQ(Load("name: n\nlisten: {loud: true}\n",
                 {"--listen-loud", "false", "--count", "4"}),
            "");
  EXPECT_FALSE(sample_.loud);
  EXPECT_EQ(sample_.count, 4);
}

TEST_F(ConfigTest, AnUnknownKeyNamesItsPlaceAndTheNearestKnownOne) {
  EXPECT_EQ(Load("name: n\nlisten:\n  sokcet: /x\n"),
            "s.yaml:3:3: unknown key `sokcet`; did you mean `socket`?");
}

TEST_F(ConfigTest, AKeyInTheWrongSectionIsPointedToTheRightOne) {
  EXPECT_EQ(Load("name: n\nsocket: /x\n"),
            "s.yaml:2:1: unknown key `socket` here; did you mean `listen.socket`?");
}

TEST_F(ConfigTest, AKeyNearNothingGetsTheList) {
  EXPECT_EQ(Load("name: n\nlisten:\n  zzzzzzzz: 1\n"),
            "s.yaml:3:3: unknown key `zzzzzzzz`; known here: socket, loud");
}

TEST_F(ConfigTest, ADottedKeyIsNoShortcut) {
  EXPECT_EQ(Load("name: n\nlisten.loud: true\n"),
            "s.yaml:2:1: unknown key `listen.loud`; write `listen: {loud: ...}`");
}

TEST_F(ConfigTest, EveryProblemIsListed) {
  EXPECT_EQ(Load("name: a b\ncount: 10\nttl: 5\nlisten: {loud: yes}\nlog: {level: loud}\n"),
            "s.yaml:1:7: `name`: must not hold spaces\n"
            "s.yaml:2:8: `count`: must lie between 1 and 9, and is 10\n"
            "s.yaml:3:6: `ttl`: duration `5` has a number without a unit; write it like 1h30m, 5s "
            "or 250ms\n"
            "s.yaml:4:16: `listen.loud`: must be false or true, and is `yes`\n"
            "s.yaml:5:14: `log.level`: must be debug, info, warn or error, and is `loud`");
}

TEST_F(ConfigTest, WrongTypesAreNamed) {
  EXPECT_EQ(Load("name: [n]\nlisten: /x\ncount: 2x\nttl: {}\nadmins: a\nlog:\n  level:\n"),
            "s.yaml:1:7: `name` must be a single value (text), and is a list\n"
            "s.yaml:2:9: `listen` must be a map of settings, and is text\n"
            "s.yaml:3:8: `count`: must be a whole number, and is `2x`\n"
            "s.yaml:4:6: `ttl` must be a single value (duration), and is a map\n"
            "s.yaml:5:9: `admins` must be a list of text, like [a, b]\n"
            "s.yaml:7:3: `log.level` must be a single value (debug, info, warn or error), and is "
            "nothing");
}

TEST_F(ConfigTest, AFileThatIsNoMapIsRefused) {
  EXPECT_EQ(Load("- name\n"), "s.yaml:1:1: the file must be a map of settings, and is a list\n"
                              "s.yaml: `name` is required; set it in the file, as WRIT_NAME or "
                              "with --name");
}

TEST_F(ConfigTest, AnEmptyValueOfARequiredSettingIsRefused) {
  EXPECT_EQ(Load("name: \"\"\n"), "s.yaml:1:7: `name`: must not be empty");
}

TEST_F(ConfigTest, ListItemsMustBeText) {
  EXPECT_EQ(Load("name: n\nadmins: [a, [b]]\n"),
            "s.yaml:2:9: `admins` must be a list of text, like [a, b]");
  EXPECT_EQ(sample_.admins.size(), 0u);
}

TEST_F(ConfigTest, AKindIsNamedByASingleKnownKey) {
  EXPECT_EQ(Load("name: n\nstore: {memory: {}}\n"), "");
  EXPECT_EQ(sample_.store, Store::kMemory);
}

TEST_F(ConfigTest, OtherWaysToNameAKindAreRefused) {
  EXPECT_EQ(Load("name: n\nstore: memory\n"),
            "s.yaml:2:8: `store` must be a map with one key, disk or memory, like {disk: {}}");
}

TEST_F(ConfigTest, KindsCheckTheirOwnSettings) {
  EXPECT_EQ(Load("name: n\nstore: {disk: {}, memory: {}}\nmethods: {tokn: {}, cert: {x: 1}}\n"),
            "s.yaml:2:8: `store` must be a map with one key, disk or memory, like {disk: {}}\n"
            "s.yaml:3:11: unknown key `tokn`; did you mean `token`?\n"
            "s.yaml:3:28: unknown key `x`; `methods.cert` has no settings");
}

TEST_F(ConfigTest, ASecretIsNeverQuoted) {
  std::string message = Load("name: n\nmethods: {token: {value: \"hunter 2\"}}\n",
                             {"--token-value", "hunter 3", "hunter4", "--tokn=hunter5",
                              "--bad-flag", "hunter6"});
  EXPECT_EQ(message.find("hunter"), std::string::npos) << message;
  EXPECT_NE(message.find("s.yaml:2:26: `methods.token.value`: must not hold spaces"),
            std::string::npos)
      << message;
  EXPECT_NE(message.find("sampled: argument 5 belongs to no flag"), std::string::npos) << message;
}

TEST_F(ConfigTest, MistakenFlagsAreExplained) {
  EXPECT_EQ(Load("name: n\n", {"--listen-sokcet", "/x", "--count=x", "--zzzzzzzzzzzz", "--ttl"}),
            "--listen-sokcet: unknown flag; did you mean `--listen-socket`?\n"
            "--count: `count`: must be a whole number, and is `x`\n"
            "--zzzzzzzzzzzz: unknown flag; --help lists them\n"
            "--ttl: a value is missing behind this flag");
}

TEST_F(ConfigTest, AVariableThatLooksMistypedIsRefusedAndAForeignOneIsNot) {
  EXPECT_EQ(Load("name: n\n", {},
                 {{"WRIT_LISTEN_SOKET", "/x"}, {"WRIT_SERVER_PORT_8081_TCP", "tcp://10.0.0.1"}}),
            "WRIT_LISTEN_SOKET: unknown environment variable; did you mean `WRIT_LISTEN_SOCKET`?");
}

TEST_F(ConfigTest, AFileThatIsNotThereOrNotYamlIsTheOnlyProblem) {
  Status absent = schema_.Load({"--config", dir_ / "none.yaml"}, {});
  EXPECT_EQ(absent.message(),
            "sampled: read " + (dir_ / "none.yaml") + ": No such file or directory");
}

TEST_F(ConfigTest, BrokenYamlIsTheOnlyProblem) {
  EXPECT_EQ(Load("name: [n\n").find('\n'), std::string::npos);
}

TEST_F(ConfigTest, AHugeFileIsRefused) {
  EXPECT_NE(Load("name: n\n#" + std::string(300'000, 'x')).find("larger than"), std::string::npos);
}

TEST_F(ConfigTest, TheNumberOfProblemsIsBounded) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "unknown" + std::to_string(i) + ": 1\n";
  EXPECT_EQ(std::ranges::count(Load(text), '\n'), 19);
}

TEST_F(ConfigTest, RelationsBetweenSettingsAreComplainedAboutAtTheirPlace) {
  ASSERT_EQ(Load("name: n\ncount: 4\n", {"--ttl", "5m"}), "");
  EXPECT_EQ(schema_.Complain("ttl", "is too long").message(), "--ttl: `ttl` is too long");
  EXPECT_EQ(schema_.Complain("admins", "are none").message(), "sampled: `admins` are none");
  EXPECT_EQ(schema_.Complain("count", "is odd").message(),
            (dir_ / "s.yaml:2:8: `count` is odd"));
}

TEST_F(ConfigTest, HelpShowsEveryFlagWithItsVariableAndDefault) {
  std::string help = schema_.FlagHelp();
  EXPECT_NE(help.find("  --listen-socket <text>\n        Where it listens. [WRIT_LISTEN_SOCKET] "
                      "Default: /run/a.sock\n"),
            std::string::npos)
      << help;
  EXPECT_NE(help.find("--methods-token-value, --token-value <secret text>"), std::string::npos);
  EXPECT_NE(help.find("Its name. [WRIT_NAME] Required."), std::string::npos);
  size_t longest = 0;
  for (size_t at = 0; at < help.size();) {
    size_t end = help.find('\n', at);
    longest = std::max(longest, end - at);
    at = end + 1;
  }
  EXPECT_LE(longest, 80u);
}

TEST_F(ConfigTest, TheReferenceHasARowForEachSetting) {
  std::string reference = schema_.Reference();
  EXPECT_NE(reference.find("| `count` | whole number | `3` | How many. | `WRIT_COUNT` |"),
            std::string::npos);
  EXPECT_NE(reference.find("| `name` | text | required |"), std::string::npos);
  EXPECT_NE(reference.find("| `store` | disk or memory | `disk` |"), std::string::npos);
  EXPECT_NE(reference.find("| `methods` | any of token or cert | `token` |"), std::string::npos);
}

// Whatever a file holds, loading answers, and what it refuses it names a place for.
TEST(ConfigFuzzTest, MutatedFilesAreAnsweredWithAPlace) {
  const std::string seed_text =
      "name: n\nlisten:\n  socket: /x\n  loud: true\ncount: 9\nttl: 1h30m\nadmins: [a, b]\n"
      "store:\n  disk: {path: /p}\n";
  TempDir dir;
  SeededRandom random(5);
  for (int round = 0; round < 1'000; ++round) {
    std::string text = seed_text;
    for (uint64_t edits = 1 + random.Uint64() % 3; edits > 0; --edits) {
      size_t at = random.Uint64() % text.size();
      switch (random.Uint64() % 3) {
        case 0: text[at] = static_cast<char>(random.Uint64() % 128); break;
        case 1: text.erase(at, 1 + random.Uint64() % 3); break;
        default: text.insert(at, text.substr(random.Uint64() % text.size(), 8)); break;
      }
    }
    Sample sample;
    ConfigSchema schema("sampled");
    schema.String("name", &sample.name, "Its name.");
    schema.String("listen.socket", &sample.socket, "Where it listens.");
    schema.Bool("listen.loud", &sample.loud, "Whether it is loud.");
    schema.Int("count", &sample.count, "How many.", {.min = 1, .max = 9});
    schema.Period("ttl", &sample.ttl, "How long.", {.min = std::chrono::minutes(1)});
    schema.List("admins", &sample.admins, "Who rules.");
    schema.Kind<Store>("store", &sample.store, {{"disk", Store::kDisk}}, "Where to.");
    schema.String("store.disk.path", &sample.disk_path, "Which directory.");
    std::string path = dir / "f.yaml";
    std::ofstream(path) << text;
    Status status = schema.Load({"--config", path}, {});
    ASSERT_TRUE(status.ok() || status.message().starts_with(path + ":")) << status.ToString();
    EXPECT_GE(sample.count, 1);
    EXPECT_LE(sample.count, 9);
    EXPECT_GE(sample.ttl, std::chrono::minutes(1));
  }
}

}  // namespace
}  // namespace writ
