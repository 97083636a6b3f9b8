// SPDX-License-Identifier: Apache-2.0
#include "agent/config.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "agent/api/caller_limit.h"
#include "core/base/config_checks.h"

namespace writ {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

constexpr DurationRange kSyncIntervalRange{.min = milliseconds(100), .max = hours(24)};
constexpr int64_t kCachedSvidsMax = 1'000'000;
constexpr size_t kJoinTokenBytesMax = 255;

// Its text is never in an answer.
Status CheckJoinToken(std::string_view token) {
  if (token.size() > kJoinTokenBytesMax) {
    return InvalidArgument("must have at most " + std::to_string(kJoinTokenBytesMax) +
                           " bytes, and has " + std::to_string(token.size()));
  }
  if (std::ranges::any_of(token, [](char c) { return c <= ' ' || c >= 0x7f; })) {
    return InvalidArgument("must not hold spaces or line breaks; was it copied whole?");
  }
  return OkStatus();
}

ConfigSchema::Choices<KeyType> KeyTypes() {
  ConfigSchema::Choices<KeyType> choices;
  for (KeyType type :
       {KeyType::kEcP256, KeyType::kEcP384, KeyType::kRsa2048, KeyType::kRsa4096}) {
    choices.emplace_back(KeyTypeName(type), type);
  }
  return choices;
}

void DeclareServer(ConfigSchema& schema, AgentConfig::Server* server) {
  schema.String("server.address", &server->address, "The server's host and port.",
                {.required = true, .check = CheckServerAddress});
  schema.String("server.bundle_file", &server->bundle_file,
                "Whom to trust at first: a file with the trust domain's roots, PEM or a SPIFFE "
                "bundle in JSON. One of this, `server.bundle_url` and "
                "`server.insecure_bootstrap` is required.",
                {.check = EmptyOr(CheckAbsolutePath)});
  schema.String("server.bundle_url", &server->bundle_url,
                "Whom to trust at first: an https URL of such a file.",
                {.check = EmptyOr(CheckHttpsUrl)});
  schema.String("server.ca_file", &server->ca_file,
                "PEM roots that vouch for `server.bundle_url`'s host; when not set, the system's.",
                {.check = EmptyOr(CheckAbsolutePath)});
  schema.String("server.bundle_sha256", &server->bundle_sha256,
                "SHA-256 that what `server.bundle_url` serves must have; when not set, any.",
                {.check = EmptyOr(CheckSha256)});
  schema.Bool("server.insecure_bootstrap", &server->insecure_bootstrap,
              "Trust whoever answers first at `server.address` as the trust domain's server. "
              "For trying out: an attacker in between becomes the authority.");
  schema.Bool("server.rebootstrap", &server->rebootstrap,
              "Read `server.bundle_file` or `server.bundle_url` again when the stored bundle no "
              "longer verifies the server.");
}

void DeclareNodeAttestor(ConfigSchema& schema, AgentConfig* config) {
  ConfigSchema::Choices<std::string> types;
  for (const std::string& type : NodeProverTypes()) types.emplace_back(type, type);
  schema.Kind<std::string>("node_attestor", &config->node_attestor, std::move(types),
                           "How this node proves itself to the server.");
  NodeProverOptions* options = &config->node_attestor_options;
  schema.SecretText("node_attestor.join_token.token", &options->join_token,
                    "The join token; needed for the first attestation only. Better in a file or "
                    "variable than in a flag, which every user of the machine can read.",
                    {.shorthand = "join_token", .check = CheckJoinToken});
  schema.String("node_attestor.x509pop.certificate_path", &options->x509pop.certificate_path,
                "The node's certificate, PEM, with the intermediates up to the server's CA after "
                "it. Required with `x509pop`.",
                {.check = EmptyOr(CheckAbsolutePath)});
  schema.String("node_attestor.x509pop.private_key_path", &options->x509pop.private_key_path,
                "Its private key, PEM. Required with `x509pop`.",
                {.check = EmptyOr(CheckAbsolutePath)});
  schema.String("node_attestor.x509pop.intermediates_path", &options->x509pop.intermediates_path,
                "More intermediates, PEM, where they stand in a file of their own.",
                {.check = EmptyOr(CheckAbsolutePath)});
}

void Declare(ConfigSchema& schema, AgentConfig* config) {
  schema.Parsed<TrustDomain>("trust_domain", &config->trust_domain, "trust domain name",
                             TrustDomain::Parse, "The trust domain that this node belongs to.");
  schema.String("data_dir", &config->data_dir,
                "Directory of all that the agent keeps: its SVID, keys and the last bundle.",
                {.check = CheckAbsolutePath});
  DeclareServer(schema, &config->server);
  schema.String("workload_socket", &config->workload_socket,
                "Unix socket of the Workload API. Mode 0666, in a directory of mode 0755 that "
                "the agent makes and that is safe to mount into containers.",
                {.check = CheckSocketPath});
  schema.String("admin_socket", &config->admin_socket,
                "Unix socket for operators: health, and `writ why` about any process. Mode 0660, "
                "in a directory of mode 0750 that the agent makes; not in or below the workload "
                "socket's.",
                {.check = CheckSocketPath});
  schema.String("admin_socket_group", &config->admin_socket_group,
                "Group of the admin socket and its directory; empty means the agent's own.");
  schema.String("http", &config->http,
                "Address of the HTTP listener for health and metrics; empty turns it off.",
                {.check = EmptyOr(CheckListenAddress)});
  DeclareNodeAttestor(schema, config);
  schema.OnlyKind("workload_attestors", "unix", "How callers of the Workload API are known.");
  schema.Bool("workload_attestors.unix.discover_workload_path",
              &config->unix_attestor.discover_workload_path,
              "Give selectors for the caller's executable too: `unix:path` and `unix:sha256`.");
  schema.Int("workload_attestors.unix.workload_size_limit",
             &config->unix_attestor.workload_size_limit,
             "Largest executable, in bytes, that a digest is made of; 0 is no limit, -1 no "
             "digests.",
             {.min = -1});
  schema.Kind<KeyManagerKind>(
      "key_manager", &config->key_manager,
      {{"disk", KeyManagerKind::kDisk}, {"memory", KeyManagerKind::kMemory}},
      "Where the agent's own key lives. In memory, each restart needs a new attestation.");
  schema.Period("sync_interval", &config->sync_interval,
                "How often entries and bundle are fetched from a server that does not tell of "
                "changes as they happen.",
                kSyncIntervalRange);
  schema.Enum<KeyType>("svid_key_type", &config->svid_key_type, KeyTypes(),
                       "Key type of workloads' X.509-SVIDs.");
  schema.Int("cache.x509", &config->cache.x509_max,
             "How many X.509-SVIDs are held, the least recently used going first. Those with a "
             "subscriber stay, and may exceed it; an entry that is left out gets its SVID as soon "
             "as a workload asks.",
             {.min = 0, .max = kCachedSvidsMax});
  schema.Int("cache.jwt", &config->cache.jwt_max,
             "How many JWT-SVIDs are held, the least recently used going first; 0 holds none.",
             {.min = 0, .max = kCachedSvidsMax});
  schema.Int("rate_limit", &config->rate_limit,
             "How often, in a second, callers with the same selectors may call each method of the "
             "Workload API; the calls of one second may come at once. 0 is no limit.",
             {.min = 0, .max = kCallsPerSecondMax});
  schema.Bool("allow_unauthenticated_verifiers", &config->allow_unauthenticated_verifiers,
              "Whether the Workload API gives bundles also to processes that no entry matches, so "
              "that they can verify others.");
  DeclareLogSettings(schema, &config->log);
}

Status CheckBootstrap(const ConfigSchema& schema, const AgentConfig::Server& server) {
  const int sources = (server.bundle_file.empty() ? 0 : 1) + (server.bundle_url.empty() ? 0 : 1) +
                      (server.insecure_bootstrap ? 1 : 0);
  if (sources == 0) {
    return schema.Complain("server.bundle_file",
                           "is missing: set it, or `server.bundle_url`, or, for trying out only, "
                           "`server.insecure_bootstrap: true`");
  }
  if (sources > 1) {
    const char* extra = server.insecure_bootstrap ? "server.insecure_bootstrap"
                                                  : "server.bundle_url";
    return schema.Complain(extra,
                           "is one source of trust too many: keep one of `server.bundle_file`, "
                           "`server.bundle_url` and `server.insecure_bootstrap`");
  }
  for (const auto& [path, value] : {std::pair("server.ca_file", &server.ca_file),
                                    std::pair("server.bundle_sha256", &server.bundle_sha256)}) {
    if (value->empty() || !server.bundle_url.empty()) continue;
    return schema.Complain(path, "has no use without `server.bundle_url`; remove it");
  }
  return OkStatus();
}

// The directory may be reached by another name (/var/run is /run): links are resolved as far as
// the path exists.
std::filesystem::path Resolved(const std::string& path) {
  std::error_code error;
  std::filesystem::path resolved = std::filesystem::weakly_canonical(path, error);
  return error ? std::filesystem::path(path).lexically_normal() : resolved;
}

bool IsInOrBelow(const std::filesystem::path& path, const std::filesystem::path& directory) {
  return std::ranges::mismatch(directory, path).in1 == directory.end();
}

// Whether containers that are given the workload socket's directory see `path` as well.
bool IsPublic(const AgentConfig& config, const std::string& path) {
  return IsInOrBelow(Resolved(path), Resolved(config.workload_socket).parent_path());
}

Status CheckRelations(const ConfigSchema& schema, AgentConfig* config) {
  TRY(CheckBootstrap(schema, config->server));
  if (!IsPublic(*config, config->admin_socket)) return OkStatus();
  return schema.Complain("admin_socket",
                         "lies in or below the directory of `workload_socket`, which workloads "
                         "can see; give it a directory of its own");
}

constexpr ProgramSettings<AgentConfig> kSettings{
    .program = "writ-agent", .declare = Declare, .finish = CheckRelations};

}  // namespace

Result<AgentConfig> LoadAgentConfig(const std::vector<std::string>& arguments,
                                    const Environment& environment) {
  return kSettings.Load(arguments, environment);
}

std::vector<std::string> Warnings(const AgentConfig& config) {
  std::vector<std::string> warnings;
  if (config.server.insecure_bootstrap) {
    warnings.push_back("server.insecure_bootstrap is on: the first server that answers at " +
                       config.server.address +
                       " is trusted unseen; use server.bundle_file or server.bundle_url");
  }
  if (IsPublic(config, config.data_dir)) {
    warnings.push_back("data_dir lies in or below the directory of workload_socket; do not mount "
                       "that directory into containers");
  }
  if (config.key_manager == KeyManagerKind::kMemory) {
    warnings.push_back("key_manager is memory: each restart of the agent needs a new attestation");
  }
  return warnings;
}

std::string AgentFlagHelp() { return kSettings.FlagHelp(); }
std::string AgentReference() { return kSettings.Reference(); }

}  // namespace writ
