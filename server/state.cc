// SPDX-License-Identifier: Apache-2.0
#include "server/state.h"

#include <unistd.h>

#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "core/base/file.h"
#include "core/base/process.h"
#include "core/net/listener.h"

namespace writ {
namespace {

constexpr mode_t kDataDirectoryMode = 0700;

NodeVerifierNeeds NeedsOf(const ServerConfig& config, const ServerState& state,
                          const ServerKit& kit) {
  return {.trust_domain = *config.trust_domain,
          .find_join_token = [store = state.store.get()](
                                 std::string_view token) -> Result<JoinTokenInfo> {
            JoinToken found = TRY(store->agents().GetToken(token));
            return JoinTokenInfo{FromUnixSeconds(found.expires_at)};
          },
          .roots = [bundle = state.bundle.get()] { return bundle->Current()->X509Roots(); },
          .clock = kit.clock,
          .random = kit.random};
}

IssuerOptions IssuerOptionsOf(const ServerConfig& config, const ServerState& state,
                              const ServerKit& kit) {
  return {.trust_domain = *config.trust_domain,
          .x509_ttl = config.svid.x509_ttl,
          .agent_ttl = config.svid.agent_ttl,
          .jwt_ttl = config.svid.jwt_ttl,
          .jwt_issuer = config.svid.jwt_issuer,
          .subject = config.svid.subject,
          .ca_ttl = config.ca.ttl,
          .ca_subject = config.ca.subject,
          .authorities = state.authorities.get(),
          .audit = state.audit.get(),
          .clock = kit.clock,
          .random = kit.random};
}

AuthoritiesOptions AuthoritiesOptionsOf(const ServerConfig& config, const ServerState& state,
                                        const ServerKit& kit) {
  return {.trust_domain = *config.trust_domain,
          .ttl = config.ca.ttl,
          .x509_key_type = config.ca.key_type,
          .jwt_key_type = config.ca.jwt_key_type,
          .subject = config.ca.subject,
          .store = state.store.get(),
          .bundle = state.bundle.get(),
          .keys = state.keys.get(),
          .clock = kit.clock,
          .random = kit.random,
          .log = kit.log};
}

// A directory for data that the first start makes holds whatever lies in it.
Status CheckDataFile(const ServerConfig& config, const std::string& path) {
  if (path.starts_with(config.data_dir + "/") && access(config.data_dir.c_str(), F_OK) != 0) {
    return OkStatus();
  }
  return CheckUsableFile(path);
}

std::string KeysDirectory(const ServerConfig& config) { return config.data_dir + "/keys"; }

// Whether the disk has keys of authorities. What cannot be read fails where it is opened.
bool HasAuthorityKeys(const ServerConfig& config) {
  if (config.key_manager == KeyManagerKind::kMemory) return false;
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator(KeysDirectory(config), error)) {
    if (IsAuthorityKey(file.path().filename().string())) return true;
  }
  return false;
}

// Keys without a store are those of a store that is lost or elsewhere: a start that took them for
// strays would destroy the trust domain's authorities.
Status AllowNoStore(const ServerConfig& config) {
  if (!HasAuthorityKeys(config)) return OkStatus();
  return FailedPrecondition(
      config.sqlite_path + " is empty or not there, though " + KeysDirectory(config) +
      " holds keys of its authorities: is datastore.sqlite.path right, and its disk mounted? "
      "Otherwise put a backup in its place with `writ-server restore`. To begin anew, with no "
      "entry and with new authorities, move the keys directory away, too");
}

}  // namespace

Result<FileLock> TakeDataDirectory(const ServerConfig& config) {
  TRY(MakeDirectories(config.data_dir, kDataDirectoryMode), "make data_dir");
  return TRY(FileLock::Take(config.data_dir + "/lock"), "another server runs on this data_dir");
}

Result<std::unique_ptr<KeyManager>> OpenKeys(const ServerConfig& config) {
  if (config.key_manager == KeyManagerKind::kMemory) return MakeMemoryKeys();
  return OpenDiskKeys(KeysDirectory(config));
}

Result<std::unique_ptr<ServerState>> ServerState::Open(const ServerConfig& config,
                                                       const ServerKit& kit) {
  const TrustDomain& td = *config.trust_domain;
  auto state = std::make_unique<ServerState>();
  state->lock = TRY(TakeDataDirectory(config));
  state->keys = TRY(OpenKeys(config), "open the keys");
  if (CheckSqliteStore(config.sqlite_path, /*deep=*/false).code() == Code::kNotFound) {
    TRY(AllowNoStore(config), "open the store");
  }
  state->store = TRY(OpenSqliteStore({.path = config.sqlite_path}), "open the store");
  state->registry = TRY(Registry::Load(*state->store, td), "load entries and agents");
  ReturnFreeMemory();  // that very many entries passed through
  state->bundle = TRY(BundleHolder::Load(state->store->bundles(), td), "load the bundle");
  state->authorities =
      TRY(Authorities::Open(AuthoritiesOptionsOf(config, *state, kit)), "open the authorities");
  state->bundle->Watch(
      [authorities = state->authorities.get()](const Bundle&) { authorities->OnBundleChange(); });
  state->audit = TRY(OpenFileAuditLog(config.audit_path, kit.clock), "open the audit log");
  state->issuer = Issuer::Make(IssuerOptionsOf(config, *state, kit));
  state->verifiers =
      TRY(NodeVerifiers::Make(config.node_attestors, config.node_attestor_options,
                              NeedsOf(config, *state, kit)),
          "node_attestors");
  state->attestor = std::make_unique<Attestor>(td, &*state->verifiers, state->registry.get(),
                                               &state->store->agents(), kit.clock);
  state->gate =
      std::make_unique<AgentGate>(state->registry.get(), &state->store->agents(), kit.clock);
  return state;
}

Status ValidateData(const ServerConfig& config, bool deep) {
  TRY(NodeVerifiers::Make(config.node_attestors, config.node_attestor_options,
                          {.trust_domain = *config.trust_domain}),
      "node_attestors");
  TRY(CheckSocketGroup(config.listen.socket_group), "listen.socket_group");
  TRY(CheckUsableSocket(config.listen.admin_socket), "listen.admin_socket");
  TRY(CheckUsableDirectory(config.data_dir), "data_dir");
  TRY(CheckDataFile(config, config.sqlite_path), "datastore.sqlite.path");
  TRY(CheckDataFile(config, config.audit_path), "audit.path");
  Status checked = CheckSqliteStore(config.sqlite_path, deep);
  return checked.code() == Code::kNotFound ? AllowNoStore(config) : checked;
}

}  // namespace writ
