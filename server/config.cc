// SPDX-License-Identifier: Apache-2.0
#include "server/config.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "core/base/bytes.h"
#include "core/base/config_checks.h"

namespace writ {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

// An authority is prepared at half of its life and its successor signs from five sixths on, so an
// SVID that it signed last has a sixth of the authority's life to live.
constexpr int kSvidLivesPerCa = 6;
constexpr Duration kTtlMin = seconds(1);
constexpr Duration kTtlMax = hours(24 * 365 * 20);
constexpr size_t kAttributeBytesMax = 64;  // X.520's bound for names in a subject
constexpr size_t kIssuerBytesMax = 2048;
constexpr int64_t kAgentBatchMax = 500;  // X.509-SVIDs that an agent asks for in one call

Status CheckText(std::string_view text, size_t bytes_max) {
  if (text.size() > bytes_max) {
    return InvalidArgument("must have at most " + std::to_string(bytes_max) + " bytes, and has " +
                           std::to_string(text.size()));
  }
  for (char c : text) {
    if (static_cast<uint8_t>(c) < ' ' || c == 0x7f) {
      return InvalidArgument("must not hold control characters, and is `" + Printable(text) + "`");
    }
  }
  return OkStatus();
}

Status CheckAttribute(std::string_view text) { return CheckText(text, kAttributeBytesMax); }
Status CheckIssuer(std::string_view text) { return CheckText(text, kIssuerBytesMax); }

Status CheckCountry(std::string_view text) {
  auto capital = [](char c) { return c >= 'A' && c <= 'Z'; };
  if (text.size() == 2 && capital(text[0]) && capital(text[1])) return OkStatus();
  return InvalidArgument("must be a country's two capital letters, and is `" + Printable(text, 32) +
                         "`");
}

ConfigSchema::Choices<KeyType> KeyTypes() {
  ConfigSchema::Choices<KeyType> choices;
  for (KeyType type : {KeyType::kEcP256, KeyType::kEcP384, KeyType::kRsa2048, KeyType::kRsa4096}) {
    choices.emplace_back(KeyTypeName(type), type);
  }
  return choices;
}

void DeclareListen(ConfigSchema& schema, ServerConfig::Listen* listen) {
  schema.String("listen.address", &listen->address,
                "Address of the gRPC listener for agents and remote administrators (mutual TLS).",
                {.check = CheckListenAddress});
  schema.String("listen.admin_socket", &listen->admin_socket,
                "Unix socket for the `writ` command; whoever can open it administers the trust "
                "domain. Mode 0660, in a directory of mode 0750 that the server makes.",
                {.check = CheckSocketPath});
  schema.String("listen.socket_group", &listen->socket_group,
                "Group of the admin socket and its directory; empty means the server's own.");
  schema.String("listen.http", &listen->http,
                "Address of the HTTP listener for health and metrics; empty turns it off.",
                {.check = EmptyOr(CheckListenAddress)});
}

void DeclareSubject(ConfigSchema& schema, const std::string& section, Subject* subject,
                    const std::string& whose) {
  schema.String(section + ".country", &subject->country, "Country in the subject of " + whose + ".",
                {.check = EmptyOr(CheckCountry)});
  schema.String(section + ".organization", &subject->organization,
                "Organization in the subject of " + whose + ".", {.check = CheckAttribute});
  schema.String(section + ".organizational_unit", &subject->organizational_unit,
                "Organizational unit in the subject of " + whose + ".", {.check = CheckAttribute});
}

void DeclareCredentials(ConfigSchema& schema, ServerConfig* config) {
  const DurationRange ttl{.min = kTtlMin, .max = kTtlMax};
  schema.Period("ca.ttl", &config->ca.ttl,
                "Life of each signing authority, X.509 and JWT. Six times the longest SVID, or "
                "more, so that none is cut short.",
                ttl);
  schema.Enum<KeyType>("ca.key_type", &config->ca.key_type, KeyTypes(),
                       "Key type of X.509 authorities.");
  schema.Enum<KeyType>("ca.jwt_key_type", &config->ca.jwt_key_type, KeyTypes(),
                       "Key type of JWT authorities.");
  DeclareSubject(schema, "ca.subject", &config->ca.subject, "CA certificates");
  schema.String("ca.subject.common_name", &config->ca.subject.common_name,
                "Common name in the subject of CA certificates.", {.check = CheckAttribute});

  schema.Period("svid.x509_ttl", &config->svid.x509_ttl,
                "Life of X.509-SVIDs whose entry sets none.", ttl);
  schema.Period("svid.jwt_ttl", &config->svid.jwt_ttl, "Life of JWT-SVIDs whose entry sets none.",
                ttl);
  schema.Period("svid.agent_ttl", &config->svid.agent_ttl,
                "Life of agents' own SVIDs; when not set, that of `svid.x509_ttl`. An agent that "
                "is away for longer has to attest again.",
                ttl);
  schema.String("svid.jwt_issuer", &config->svid.jwt_issuer,
                "The `iss` claim of JWT-SVIDs; empty leaves the claim out.",
                {.check = CheckIssuer});
  DeclareSubject(schema, "svid.subject", &config->svid.subject, "X.509-SVIDs");
}

void DeclareX509Pop(ConfigSchema& schema, X509PopVerifierOptions* x509pop) {
  const std::string section = "node_attestors.x509pop.";
  schema.Enum<X509PopMode>(
      section + "mode", &x509pop->mode,
      {{"external_pki", X509PopMode::kExternalPki}, {"spiffe", X509PopMode::kSpiffe}},
      "Who vouches for the nodes' certificates: the CAs in `ca_bundle_path`, or the trust domain "
      "itself, whose SVIDs nodes then exchange.");
  schema.String(section + "ca_bundle_path", &x509pop->ca_bundle_path,
                "The trusted CA certificates, PEM; with mode `external_pki` this or "
                "`ca_bundle_paths` is required.",
                {.check = EmptyOr(CheckAbsolutePath)});
  schema.List(section + "ca_bundle_paths", &x509pop->ca_bundle_paths,
              "The same in several files.", {.check = CheckAbsolutePath});
  schema.String(section + "svid_prefix", &x509pop->svid_prefix,
                "With mode `spiffe`: only SVIDs below this path are exchanged; empty means any.",
                {.check = CheckSvidPrefix});
  schema.String(section + "agent_path_template", &x509pop->agent_path_template,
                "How an agent's path is made of its certificate; when not set, "
                "`{{ .PluginName }}/{{ .Fingerprint }}`, or with mode `spiffe` "
                "`{{ .PluginName }}/{{ .SVIDPathTrimmed }}`.",
                {.check = EmptyOr(CheckAgentPathTemplate)});
  schema.Int(section + "max_intermediates", &x509pop->max_intermediates,
             "Most intermediate certificates that a node may send.",
             {.min = 1, .max = kX509PopIntermediatesMax});
  schema.Int(section + "max_rsa_key_size", &x509pop->max_rsa_key_size,
             "Largest RSA key, in bits, that a node's certificates may have.",
             {.min = kX509PopRsaBitsMin, .max = kX509PopRsaBitsMax});
  schema.Bool(section + "verify_client_ip", &x509pop->verify_client_ip,
              "Attest a node only from an IP address that is a SAN of its certificate.");
}

// Neither servers and agents administer, nor the trust domain itself, whose ID no caller has.
Result<SpiffeId> ParseAdminId(std::string_view text) {
  SpiffeId id = TRY(SpiffeId::Parse(text));
  if (id.path().empty()) {
    return InvalidArgument("\"" + id.text() +
                           "\" is the trust domain itself, and no caller's ID: name the "
                           "administrators' own IDs");
  }
  if (id.IsReserved()) {
    return InvalidArgument("\"" + id.text() +
                           "\" is below /spire, where servers and agents are: give administrators "
                           "an ID of their own by an entry");
  }
  return id;
}

void Declare(ConfigSchema& schema, ServerConfig* config) {
  schema.Parsed<TrustDomain>("trust_domain", &config->trust_domain, "trust domain name",
                             TrustDomain::Parse,
                             "The trust domain that this server is the authority of. It is part "
                             "of every identity: choose it once.");
  schema.String("data_dir", &config->data_dir,
                "Directory of all that the server keeps: store, keys and audit log.",
                {.check = CheckAbsolutePath});
  DeclareListen(schema, &config->listen);
  DeclareCredentials(schema, config);
  schema.OnlyKind("datastore", "sqlite", "Where entries, agents and authorities are stored.");
  schema.String("datastore.sqlite.path", &config->sqlite_path,
                "The SQLite database; when not set, `writ.db` in `data_dir`.",
                {.check = CheckAbsolutePath});
  schema.Kind<KeyManagerKind>(
      "key_manager", &config->key_manager,
      {{"disk", KeyManagerKind::kDisk}, {"memory", KeyManagerKind::kMemory}},
      "Where the signing keys live. In memory, a restart makes new authorities.");
  schema.Kinds("node_attestors", &config->node_attestors, NodeVerifiers::Types(),
               "The ways in which a node may prove itself. `join_token` has no settings.");
  DeclareX509Pop(schema, &config->node_attestor_options.x509pop);
  schema.ParsedList<SpiffeId>("admin_ids", &config->admin_ids, "SPIFFE IDs", ParseAdminId,
                              "Callers that may administer over TCP without an entry that says "
                              "`admin`.");
  schema.ParsedList<IpRange>("proxy_protocol_trusted_cidrs", &config->proxies, "address ranges",
                             IpRange::Parse,
                             "Load balancers, such as 10.0.0.0/8, that may say in a PROXY header "
                             "(version 1 or 2) whose TCP connection it is. A header from another "
                             "address ends its connection.");
  schema.Int("rate_limit.attestation", &config->rate_limit.attestation,
             "Attestations per second from one address; what is above waits for its turn. 0 turns "
             "the limit off.",
             {.min = 0, .max = kRatePerSecondMax});
  schema.Int("rate_limit.signing", &config->rate_limit.signing,
             "SVIDs signed per second for one address, X.509 and JWT each for itself; what is "
             "above waits for its turn. 0 turns the limit off.",
             {.min = 0, .max = kRatePerSecondMax});
  schema.Period("prune.agents_expired_for", &config->prune.agents_expired_for,
                "Agents whose SVID ended this long ago are deleted; 0 keeps them. Never banned "
                "ones.",
                {.max = kTtlMax});
  schema.Bool("prune.non_reattestable", &config->prune.non_reattestable,
              "Also deletes such agents that cannot attest again with what they have, as by a "
              "join token.");
  schema.String("audit.path", &config->audit_path,
                "The audit log, JSON lines; when not set, `audit.jsonl` in `data_dir`.",
                {.check = CheckAbsolutePath});
  DeclareLogSettings(schema, &config->log);
}

Status Finish(const ConfigSchema& schema, ServerConfig* config) {
  if (config->svid.agent_ttl == Duration::zero()) config->svid.agent_ttl = config->svid.x509_ttl;
  if (config->sqlite_path.empty()) config->sqlite_path = config->data_dir + "/writ.db";
  if (config->audit_path.empty()) config->audit_path = config->data_dir + "/audit.jsonl";
  if (config->sqlite_path == config->audit_path) {
    return schema.Complain("audit.path", "must not be the same file as `datastore.sqlite.path`");
  }
  const Subject& subject = config->svid.subject;
  if (subject.country.empty() && subject.organization.empty() &&
      subject.organizational_unit.empty()) {
    return schema.Complain("svid.subject.organization",
                           "and the other attributes of the subject must not all be empty");
  }
  return OkStatus();
}

constexpr ProgramSettings<ServerConfig> kSettings{
    .program = "writ-server", .declare = Declare, .finish = Finish};

// Whoever is believed about everybody's address makes it worth nothing.
void WarnOfProxies(const std::vector<IpRange>& proxies, std::vector<std::string>& warnings) {
  const std::tuple<const char*, const char*, const char*> families[] = {
      {"IPv4", "0.0.0.0", "255.255.255.255"},
      {"IPv6", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}};
  for (const auto& [family, first, last] : families) {
    const bool all = std::ranges::any_of(proxies, [&](const IpRange& range) {
      return range.Contains(*IpAddress::Parse(first)) && range.Contains(*IpAddress::Parse(last));
    });
    if (!all) continue;
    warnings.push_back("proxy_protocol_trusted_cidrs holds every " + std::string(family) +
                       " address: any client can then claim to be at any other, and limits for "
                       "each address hold for none; name the load balancers' own addresses");
  }
}

}  // namespace

Result<ServerConfig> LoadServerConfig(const std::vector<std::string>& arguments,
                                      const Environment& environment) {
  return kSettings.Load(arguments, environment);
}

std::vector<std::string> Warnings(const ServerConfig& config) {
  std::vector<std::string> warnings;
  const std::pair<const char*, Duration> ttls[] = {{"svid.x509_ttl", config.svid.x509_ttl},
                                                   {"svid.jwt_ttl", config.svid.jwt_ttl},
                                                   {"svid.agent_ttl", config.svid.agent_ttl}};
  for (const auto& [name, ttl] : ttls) {
    if (ttl * kSvidLivesPerCa <= config.ca.ttl) continue;
    warnings.push_back(std::string(name) + " of " + FormatDuration(ttl) +
                       " is more than a sixth of the ca.ttl of " + FormatDuration(config.ca.ttl) +
                       ", so some SVIDs will be cut short; set ca.ttl to at least " +
                       FormatDuration(ttl * kSvidLivesPerCa));
  }
  if (config.key_manager == KeyManagerKind::kMemory) {
    warnings.push_back("key_manager is memory: each restart makes new signing authorities");
  }
  if (const int64_t signing = config.rate_limit.signing; signing > 0 && signing < kAgentBatchMax) {
    warnings.push_back("rate_limit.signing of " + std::to_string(signing) +
                       " refuses the batches "
                       "of agents with many entries, which ask for up to " +
                       std::to_string(kAgentBatchMax) + " SVIDs at once; set it to at least that");
  }
  for (const SpiffeId& id : config.admin_ids) {
    if (id.MemberOf(*config.trust_domain)) continue;
    warnings.push_back("admin_ids: " + id.text() + " cannot call: the server holds no bundle of " +
                       "its trust domain to verify it with");
  }
  WarnOfProxies(config.proxies, warnings);
  if (config.prune.non_reattestable && config.prune.agents_expired_for == Duration::zero()) {
    warnings.push_back("prune.non_reattestable does nothing while prune.agents_expired_for is 0");
  }
  if (std::ranges::find(config.node_attestors, kX509PopType) != config.node_attestors.end()) {
    for (const std::string& warning : X509PopWarnings(config.node_attestor_options.x509pop)) {
      warnings.push_back("node_attestors.x509pop." + warning);
    }
  }
  if (config.node_attestors.empty()) {
    warnings.push_back("node_attestors is empty: no agent can attest");
  }
  return warnings;
}

std::string ServerFlagHelp() { return kSettings.FlagHelp(); }
std::string ServerReference() { return kSettings.Reference(); }

}  // namespace writ
