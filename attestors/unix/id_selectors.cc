// SPDX-License-Identifier: Apache-2.0
#include "attestors/unix/id_selectors.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>

#include <iterator>
#include <string>
#include <utility>

namespace writ {
namespace {

constexpr size_t kNameBufferBytes = 4 << 10;
constexpr size_t kNameBufferBytesMax = 1 << 20;  // a group's line names all of its members

// The name of a user or group by getpwuid_r or getgrgid_r; nothing when it has none.
template <typename Record, typename Id>
std::optional<std::string> LookUpName(int (*look_up)(Id, Record*, char*, size_t, Record**), Id id,
                                      char* Record::*name) {
  std::vector<char> buffer(kNameBufferBytes);
  while (true) {
    Record record;
    Record* found = nullptr;
    const int error = look_up(id, &record, buffer.data(), buffer.size(), &found);
    if (error == EINTR) continue;
    if (error == ERANGE && buffer.size() < kNameBufferBytesMax) {
      buffer.resize(buffer.size() * 2);
      continue;
    }
    if (error != 0 || found == nullptr || *(found->*name) == '\0') return std::nullopt;
    return std::string(found->*name);
  }
}

std::optional<std::string> UserName(uid_t uid) {
  return LookUpName(getpwuid_r, uid, &passwd::pw_name);
}

std::optional<std::string> GroupName(gid_t gid) {
  return LookUpName(getgrgid_r, gid, &group::gr_name);
}

Status Add(std::vector<Selector>& selectors, std::string_view kind, std::string_view value) {
  selectors.push_back(TRY(Selector::Make("unix", std::string(kind) + ":" + std::string(value))));
  return OkStatus();
}

Result<std::vector<Selector>> LookUp(const ProcessIds& ids) {
  std::vector<Selector> selectors;
  TRY(Add(selectors, "uid", std::to_string(ids.uid)));
  if (auto user = UserName(ids.uid)) TRY(Add(selectors, "user", *user));
  TRY(Add(selectors, "gid", std::to_string(ids.gid)));
  if (auto group = GroupName(ids.gid)) TRY(Add(selectors, "group", *group));
  for (const gid_t gid : ids.groups) {
    TRY(Add(selectors, "supplementary_gid", std::to_string(gid)));
    if (auto group = GroupName(gid)) TRY(Add(selectors, "supplementary_group", *group));
  }
  return selectors;
}

size_t BytesOf(const ProcessIds& ids, const std::vector<Selector>& selectors) {
  size_t bytes = sizeof(ids) + ids.groups.size() * sizeof(gid_t);
  for (const Selector& selector : selectors) bytes += BytesOf(selector);
  return bytes;
}

}  // namespace

Result<std::vector<Selector>> IdSelectors::Find(const ProcessIds& ids) {
  if (auto kept = Kept(ids)) return *std::move(kept);
  std::vector<Selector> selectors = TRY(LookUp(ids));
  Keep(ids, selectors);
  return selectors;
}

std::optional<std::vector<Selector>> IdSelectors::Kept(const ProcessIds& ids) {
  MutexLock lock(mu_);
  const auto found = held_.find(ids);
  if (found == held_.end()) return std::nullopt;
  if (clock_->Monotonic() < found->second.until) return found->second.selectors;
  Drop(found);
  return std::nullopt;
}

void IdSelectors::Keep(const ProcessIds& ids, const std::vector<Selector>& selectors) {
  const size_t bytes = BytesOf(ids, selectors);
  const MonoTime now = clock_->Monotonic();
  MutexLock lock(mu_);
  for (auto at = held_.begin(); at != held_.end();) {
    at = now < at->second.until && at->first != ids ? std::next(at) : Drop(at);
  }
  if (held_.size() >= kIdSelectorsMax || bytes_ + bytes > kIdSelectorsBytesMax) {
    // Users and groups are few; a flood of them costs no more than the look-ups again.
    held_.clear();
    bytes_ = 0;
  }
  held_.emplace(ids, Held{.selectors = selectors, .bytes = bytes, .until = now + kNamesKept});
  bytes_ += bytes;
}

IdSelectors::HeldById::iterator IdSelectors::Drop(HeldById::iterator at) {
  bytes_ -= at->second.bytes;
  return held_.erase(at);
}

size_t IdSelectors::KeptBytes() const {
  MutexLock lock(mu_);
  return bytes_;
}

}  // namespace writ
