// SPDX-License-Identifier: Apache-2.0
#include "cli/cli.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <ostream>

#include "core/base/bytes.h"
#include "core/base/nearest.h"
#include "core/base/version.h"

namespace writ {
namespace {

constexpr int kExitRefused = 1;
constexpr int kExitWrongUse = 2;

// The first word that should name a command and names none, with the one that may be meant; empty
// when there is none.
std::string UnknownCommand(CLI::App* app, int argc, const char* const* argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    std::vector<std::string> known;
    for (const CLI::App* command : app->get_subcommands({})) known.push_back(command->get_name());
    if (known.empty() || word.empty() || word.front() == '-') return "";
    if (std::ranges::find(known, word) != known.end()) {
      app = app->get_subcommand(word);
      continue;
    }
    const std::string nearest = NearestWord(word, known);
    return "there is no command \"" + Printable(word) + "\"" +
           (nearest.empty() ? "" : "; did you mean \"" + nearest + "\"?");
  }
  return "";
}

}  // namespace

CLI::App* AddCommand(CLI::App& parent, Session& session, const std::string& name,
                     const std::string& description, const std::string& examples,
                     std::function<Status()> body) {
  CLI::App* command = parent.add_subcommand(name, description);
  command->footer("Examples:\n" + examples);
  command->add_option("--socket", session.socket, "Path of the Unix socket to call")
      ->type_name("PATH");
  command
      ->add_option("--output", session.output, "table for people, json for machines")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, Output>{{"table", Output::kTable}, {"json", Output::kJson}}))
      ->option_text("table|json");
  command->callback([&session, body = std::move(body)] { session.command = body; });
  return command;
}

CLI::Option* AddChecked(CLI::App& app, const std::string& name, std::string& value,
                        const std::string& description, FlagCheck check) {
  return app.add_option(name, value, description)->check([check](const std::string& text) {
    return std::string(check(text).message());
  });
}

CLI::Option* AddChecked(CLI::App& app, const std::string& name, std::vector<std::string>& values,
                        const std::string& description, FlagCheck check) {
  return app.add_option(name, values, description)
      ->check([check](const std::string& text) { return std::string(check(text).message()); })
      ->expected(1)
      ->take_all();
}

int RunCli(int argc, const char* const* argv, Session& session) {
  CLI::App app("Writ's command for operators and developers.\n", "writ");
  app.set_version_flag("--version", "writ " + std::string(Version()));
  app.require_subcommand(1);
  app.footer(
      "Each command explains itself: writ entry create --help\n"
      "Exit status: 0 done, 1 refused or failed, 2 wrong use.");
  AddEntryCommands(app, session);
  AddAgentCommands(app, session);
  AddTokenCommands(app, session);
  AddBundleCommands(app, session);
  AddSvidCommands(app, session);
  AddHealthCommands(app, session);
  AddWhyCommand(app, session);
  AddLogLevelCommands(app, session);

  if (const std::string unknown = UnknownCommand(&app, argc, argv); !unknown.empty()) {
    *session.err << "writ: " << unknown << "\nRun with --help for more information.\n";
    return kExitWrongUse;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    int code = app.exit(error, *session.out, *session.err);
    return code == 0 ? 0 : kExitWrongUse;
  }
  Status status = session.command();
  session.out->flush();
  if (status.ok()) return 0;
  *session.err << "writ: " << status.message();
  if (session.wrong_use) {
    *session.err << "\nRun with --help for more information.\n";
    return kExitWrongUse;
  }
  *session.err << " (" << CodeName(status.code()) << ")\n";
  return kExitRefused;
}

}  // namespace writ
