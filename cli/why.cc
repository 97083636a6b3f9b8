// SPDX-License-Identifier: Apache-2.0
//
// writ why: why a process has the identities that it has, or none; why a SPIFFE ID reaches nobody.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <limits>
#include <memory>
#include <ostream>

#include "cli/cli.h"
#include "cli/entry_text.h"
#include "cli/output.h"
#include "cli/rpc.h"
#include "cli/why_text.h"
#include "core/spiffe/id.h"
#include "writ/v1/why.grpc.pb.h"

namespace writ {
namespace {

constexpr int32_t kPidMax = std::numeric_limits<int32_t>::max();

struct WhyFlags {
  int32_t pid = 0;
  std::string id, spiffe_id;
};

Status ExplainIdentity(Session& session, const WhyFlags& flags) {
  const Target target = ServerTarget(session);
  v1::ServerWhy::Stub stub(target.channel);
  v1::ExplainIdentityRequest request;
  request.set_spiffe_id(flags.spiffe_id);
  const auto answer = TRY(Call(target, stub, &v1::ServerWhy::Stub::ExplainIdentity, request));
  if (session.output == Output::kJson) {
    PrintJson(*session.out, IdentityJson(answer));
  } else {
    PrintIdentity(*session.out, answer, session.clock->Now());
  }
  return OkStatus();
}

// Those who may use the admin socket learn more there; a workload asks its own socket. One that is
// named may be either: the header that a workload's must have does no harm on the other.
Result<Target> TargetOf(const Session& session, const WhyFlags& flags) {
  const bool named = !session.socket.empty();
  const bool for_admins =
      flags.pid != 0 || (!flags.id.empty() && access(kAgentAdminSocket, W_OK) == 0);
  if (named || !for_admins) return WorkloadTarget(session);
  return AgentTarget(session);
}

Status ExplainWorkload(Session& session, const WhyFlags& flags) {
  const Target target = TRY(TargetOf(session, flags));
  v1::AgentWhy::Stub stub(target.channel);
  v1::ExplainWorkloadRequest request;
  if (flags.pid != 0) request.set_pid(flags.pid);
  if (!flags.id.empty()) request.set_refusal_id(flags.id);
  const auto answer = TRY(Call(target, stub, &v1::AgentWhy::Stub::ExplainWorkload, request));
  if (session.output == Output::kJson) {
    PrintJson(*session.out, WorkloadJson(answer));
  } else {
    PrintWorkload(*session.out, answer, session.clock->Now());
  }
  return OkStatus();
}

}  // namespace

void AddWhyCommand(CLI::App& app, Session& session) {
  auto flags = std::make_shared<WhyFlags>();
  CLI::App* why = AddCommand(
      app, session, "why",
      "Why a process has the identities that it has, or none. Without a flag: this command itself, "
      "as a workload.",
      "  writ why                     # on a node, as a workload\n"
      "  writ why --pid 4711          # on a node, by its agent's admin socket\n"
      "  writ why --id 6f1d2c3b4a59   # the ID that a refusal gave\n"
      "  writ why --spiffe-id spiffe://example.org/web   # on the server",
      [&session, flags] {
        if (!flags->spiffe_id.empty()) return ExplainIdentity(session, *flags);
        return ExplainWorkload(session, *flags);
      });
  CLI::Option* pid =
      why->add_option("--pid", flags->pid, "The process, by the agent's admin socket")
          ->check(CLI::Range(1, kPidMax));
  CLI::Option* id = AddChecked(*why, "--id", flags->id, "The refusal that bears this ID",
                               CheckNotEmpty);
  CLI::Option* spiffe_id =
      AddChecked(*why, "--spiffe-id", flags->spiffe_id,
                 "The SPIFFE ID to look into, by the server's admin socket",
                 [](std::string_view text) { return SpiffeId::Parse(text).status(); });
  pid->excludes(id)->excludes(spiffe_id);
  id->excludes(spiffe_id);
}

}  // namespace writ
