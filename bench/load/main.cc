// SPDX-License-Identifier: Apache-2.0
//
// writ_load: one kind of load on running daemons, and what it cost them, as one line of JSON.
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iterator>

#include "bench/load/deployment.h"
#include "core/base/file.h"
#include "test/fake/key_signer.h"

namespace writ {

Result<Json> RawSignatures(const Deployment& at) {
  KeySigner signer(KeyType::kEcP256);
  SignatureScheme scheme = DefaultScheme(signer.Public());
  Load load = at.load;
  load.watched = {{"raw", getpid()}};
  std::string signature = TRY(signer.Sign(scheme, "message"));
  return Measure(load, [&](size_t) -> Status {
    TRY(signer.Public().Verify(scheme, "message", signature));
    return signer.Sign(scheme, "message").status();
  });
}

namespace {

struct Operation {
  const char* name;
  const char* about;
  Result<Json> (*run)(const Deployment&);
};

constexpr Operation kOperations[] = {
    {"raw", "one P-256 verification and one signature, here", RawSignatures},
    {"entries", "create entries, 500 a call", CreateEntriesInBatches},
    {"entry", "create entries, one a call", CreateEntriesOneByOne},
    {"mint-x509", "mint X.509-SVIDs", MintX509},
    {"mint-jwt", "mint JWT-SVIDs", MintJwt},
    {"batch-x509", "calls of an agent for 50 X.509-SVIDs", AgentBatchX509},
    {"single-x509", "calls of an agent for one X.509-SVID", AgentSingleX509},
    {"jwt", "calls of an agent for a JWT-SVID", AgentJwt},
    {"attest", "join tokens made and used, on one connection", Attest},
    {"handshake", "connections of an agent", Handshake},
    {"workload-x509", "first answers of FetchX509SVID", WorkloadX509},
    {"workload-jwt", "FetchJWTSVID, cached", WorkloadJwtCached},
    {"workload-jwt-new", "FetchJWTSVID, each for a new audience", WorkloadJwtNewAudience},
    {"streams", "memory of open FetchX509SVID streams", WorkloadStreams},
    {"latency", "from an entry's creation to its SVID on an open stream", EntryToWorkload},
};

int Run(int argc, char** argv) {
  CLI::App app("Puts one kind of load on running daemons and prints what it cost them.");
  app.require_subcommand(1);
  Deployment at;
  at.load.count = 1000;
  pid_t server = 0;
  pid_t agent = 0;
  app.add_option("--trust-domain", at.trust_domain, "of the server");
  app.add_option("--server-address", at.server_address, "host:port");
  app.add_option("--server-socket", at.server_socket, "its admin socket");
  app.add_option("--bundle-file", at.bundle_file, "the trust domain's roots, PEM");
  app.add_option("--workload-socket", at.workload_socket, "of the agent");
  app.add_option("--parent-id", at.parent_id, "of new entries");
  app.add_option("--count", at.load.count, "operations in all");
  app.add_option("--parallel", at.load.parallel, "threads that share them");
  app.add_option("--server-pid", server, "whose CPU time is told");
  app.add_option("--agent-pid", agent, "likewise");
  app.add_flag("--own-connection", at.own_connection, "one connection for each caller");
  for (const Operation& operation : kOperations) {
    app.add_subcommand(operation.name, operation.about)->fallthrough();
  }
  CLI11_PARSE(app, argc, argv);
  if (agent != 0) at.load.watched.push_back({"agent", agent});
  if (server != 0) at.load.watched.push_back({"server", server});

  std::string chosen = app.get_subcommands().front()->get_name();
  const Operation* operation =
      std::find_if(std::begin(kOperations), std::end(kOperations),
                   [&](const Operation& one) { return chosen == one.name; });
  Result<Json> result = operation->run(at);
  if (!result.ok()) {
    std::fprintf(stderr, "writ_load %s: %s\n", chosen.c_str(),
                 result.status().ToString().c_str());
    return 1;
  }
  std::printf("%s\n", result->Dump().c_str());
  return 0;
}

}  // namespace
}  // namespace writ

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  return writ::Run(argc, argv);
}
