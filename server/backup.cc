// SPDX-License-Identifier: Apache-2.0
#include "server/backup.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "core/crypto/key.h"
#include "server/bundle/bundle_holder.h"
#include "server/ca/journal.h"
#include "server/entry/registry.h"
#include "server/state.h"
#include "server/store/store.h"

namespace writ {
namespace {

// What every SQLite database begins with.
constexpr std::string_view kSqliteMagic("SQLite format 3\0", 16);

// The first bytes of a file; fewer when it is shorter. NotFound.
Result<std::string> ReadFileHead(const std::string& path, size_t bytes) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return NotFound(path + " is not there");
  std::string head(bytes, '\0');
  file.read(head.data(), static_cast<std::streamsize>(bytes));
  head.resize(static_cast<size_t>(file.gcount()));
  return head;
}

std::string Sizes(const BackupContents& contents) {
  return std::to_string(contents.entries) + " entries and " + std::to_string(contents.agents) +
         " agents";
}

bool HasKeyOf(KeyManager& keys, const JournalRow& row) {
  const Result<std::shared_ptr<Signer>> signer = keys.Get(row.key_name);
  return signer.ok() && (*signer)->Public().spki() == row.public_key;
}

// The names of keys that the authorities in use need and that are not there.
std::vector<std::string> MissingKeys(KeyManager& keys, const std::vector<JournalRow>& journal) {
  std::vector<std::string> missing;
  for (const JournalRow& row : journal) {
    if (row.status != AuthorityStatus::kOld && !HasKeyOf(keys, row))
      missing.push_back(row.key_name);
  }
  return missing;
}

Status RefuseLostKeys(const ServerConfig& config, const std::vector<std::string>& missing) {
  if (missing.empty()) return OkStatus();
  std::string names;
  for (const std::string& name : missing) names += (names.empty() ? "" : ", ") + name;
  return FailedPrecondition(
      "the backup's authorities sign with keys that are not in " + config.data_dir +
      "/keys: " + names +
      ". Put the keys directory back first, or pass --without-keys: the server then makes "
      "new authorities, and agents that do not trust them yet have to learn the new bundle");
}

// What a start reads. A backup that a start would refuse is refused here, with the store that is
// there still in its place.
Status CheckStartable(Store& store, const TrustDomain& td, const std::vector<JournalRow>& journal) {
  for (const JournalRow& row : journal) {
    TRY(ReadAuthority(row, td), "read the authority " + row.authority_id);
  }
  TRY(BundleHolder::Load(store.bundles(), td), "read its bundle");
  TRY(Registry::Load(store, td), "read its entries");
  return OkStatus();
}

// Where a path leads, through symbolic links, whether its end exists or not.
std::filesystem::path Resolved(const std::string& path) {
  std::error_code error;
  std::filesystem::path resolved = std::filesystem::weakly_canonical(path, error);
  return error ? std::filesystem::path(path).lexically_normal() : resolved;
}

// A backup in the place of something that the server lives from would take it away.
Status CheckTarget(const ServerConfig& config, const std::string& to) {
  const std::filesystem::path target = Resolved(to);
  const std::filesystem::path data = Resolved(config.data_dir);
  if (std::mismatch(data.begin(), data.end(), target.begin(), target.end()).first == data.end()) {
    return InvalidArgument("back up to " + to + ": it lies in data_dir, " + config.data_dir +
                           ", among the files that the server uses; choose a place outside");
  }
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
    if (target == Resolved(config.sqlite_path + suffix)) {
      return InvalidArgument("back up to " + to + ": it belongs to the store itself, " +
                             config.sqlite_path + "; choose another file");
    }
  }
  if (target == Resolved(config.audit_path)) {
    return InvalidArgument("back up to " + to + ": it is the audit log; choose another file");
  }
  const Result<std::string> there = ReadFileHead(to, kSqliteMagic.size());
  if (there.ok() && !there->empty() && *there != kSqliteMagic) {
    return InvalidArgument("back up to " + to +
                           ": a file that is no backup stands there; move it away, or choose "
                           "another");
  }
  return OkStatus();
}

}  // namespace

Result<std::string> BackUp(const ServerConfig& config, const std::string& to) {
  TRY(CheckTarget(config, to));
  const BackupContents made = TRY(BackUpSqliteStore(config.sqlite_path, to));
  std::string told = "Backed up " + Sizes(made) + " to " + to + ".\n";
  if (config.key_manager == KeyManagerKind::kDisk) {
    told += "The signing keys are not in it: keep a copy of " + config.data_dir +
            "/keys, made after this backup, in a place as safe as the keys themselves.\n";
  }
  return told;
}

Result<std::string> Restore(const ServerConfig& config, const std::string& from, LostKeys lost_keys,
                            Time now) {
  const FileLock lock = TRY(TakeDataDirectory(config));
  const std::unique_ptr<KeyManager> keys = TRY(OpenKeys(config), "open the keys");
  const bool keys_outlive_us = config.key_manager != KeyManagerKind::kMemory;
  std::vector<std::string> missing;
  auto accept = [&](Store& store) -> Status {
    const std::vector<JournalRow> journal = TRY(store.journal().Load());
    TRY(CheckStartable(store, *config.trust_domain, journal));
    if (keys_outlive_us) missing = MissingKeys(*keys, journal);
    return lost_keys == LostKeys::kRefuse ? RefuseLostKeys(config, missing) : OkStatus();
  };
  const BackupContents restored = TRY(RestoreSqliteStore(from, config.sqlite_path, now, accept));
  std::string told = "Restored " + Sizes(restored) + " from " + from + ".\n";
  if (!restored.set_aside.empty()) {
    told += "The store that was there is now " + restored.set_aside +
            "; delete it when it is no "
            "longer wanted.\n";
  }
  for (const std::string& name : missing) {
    told += "The key " + name + " is not there: a new authority will take its place.\n";
  }
  return told;
}

}  // namespace writ
