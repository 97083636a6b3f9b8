// SPDX-License-Identifier: Apache-2.0
#include "attestors/unix/unix_attestor.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "attestors/unix/digest_cache.h"
#include "attestors/unix/proc_status.h"
#include "core/base/file.h"

namespace writ {
namespace {

constexpr std::string_view kType = "unix";
constexpr size_t kStatusBytesMax = 2 << 20;  // 65,536 groups of up to 11 bytes, and the rest
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

Result<std::string> ReadLink(const std::string& path) {
  std::vector<char> buffer(PATH_MAX + 1);
  const ssize_t n = readlink(path.c_str(), buffer.data(), buffer.size());
  if (n < 0) return Internal("read the link " + path + ": " + strerror(errno));
  if (static_cast<size_t>(n) == buffer.size()) return Internal("the link " + path + " is too long");
  return std::string(buffer.data(), n);
}

class UnixAttestor final : public WorkloadAttestor {
 public:
  UnixAttestor(UnixAttestorOptions options, Clock* clock)
      : options_(std::move(options)), digests_(kDigestsMax, clock) {}

  std::string name() const override { return std::string(kType); }
  Result<std::vector<Selector>> Attest(const Caller& caller) override;

 private:
  Result<ProcessIds> ReadIds(const Caller& caller) const;
  Status AddExecutable(const Caller& caller, std::vector<Selector>& selectors);
  std::string ProcPath(const Caller& caller, std::string_view file) const;

  const UnixAttestorOptions options_;
  DigestCache digests_;  // its own lock
};

Status Add(std::vector<Selector>& selectors, std::string_view kind, std::string_view value) {
  selectors.push_back(TRY(Selector::Make(kType, std::string(kind) + ":" + std::string(value))));
  return OkStatus();
}

Status AddIds(const ProcessIds& ids, std::vector<Selector>& selectors) {
  TRY(Add(selectors, "uid", std::to_string(ids.uid)));
  if (auto user = UserName(ids.uid)) TRY(Add(selectors, "user", *user));
  TRY(Add(selectors, "gid", std::to_string(ids.gid)));
  if (auto group = GroupName(ids.gid)) TRY(Add(selectors, "group", *group));
  for (const gid_t gid : ids.groups) {
    TRY(Add(selectors, "supplementary_gid", std::to_string(gid)));
    if (auto group = GroupName(gid)) TRY(Add(selectors, "supplementary_group", *group));
  }
  return OkStatus();
}

Result<std::vector<Selector>> UnixAttestor::Attest(const Caller& caller) {
  const ProcessIds ids = TRY(ReadIds(caller));
  const bool connected_as_root = caller.uid() == 0;
  if (!connected_as_root && (ids.uid != caller.uid() || ids.gid != caller.gid())) {
    return PermissionDenied("process " + std::to_string(caller.pid()) +
                            " changed its user or group after it connected (from " +
                            std::to_string(caller.uid()) + ":" + std::to_string(caller.gid()) +
                            " to " + std::to_string(ids.uid) + ":" + std::to_string(ids.gid) +
                            "); it must connect again");
  }
  std::vector<Selector> selectors;
  TRY(AddIds(ids, selectors));
  if (options_.discover_workload_path) {
    TRY(AddExecutable(caller, selectors));
    // User and executable must be of one moment: another program may have been started between.
    if (TRY(ReadIds(caller)) != ids) {
      return Aborted("process " + std::to_string(caller.pid()) +
                     " changed its user or groups while it was looked at; call again");
    }
  }
  if (!caller.Alive()) {
    return Unavailable("process " + std::to_string(caller.pid()) + " is gone");
  }
  return selectors;
}

Result<ProcessIds> UnixAttestor::ReadIds(const Caller& caller) const {
  const std::string text = TRY(ReadFile(ProcPath(caller, "status"), kStatusBytesMax));
  return ParseProcStatus(text);
}

// Path and digest of one and the same file: it is opened once, by a descriptor that only refers to
// it (which needs no right to read it), and everything is asked of that descriptor.
Status UnixAttestor::AddExecutable(const Caller& caller, std::vector<Selector>& selectors) {
  const std::string link = ProcPath(caller, "exe");
  const Fd executable(open(link.c_str(), O_PATH | O_CLOEXEC));
  if (!executable.valid()) {
    return Internal("find the executable of process " + std::to_string(caller.pid()) + " by " +
                    link + ": " + strerror(errno) +
                    "; the agent must run as root or as the workload's user");
  }
  const std::string self = "/proc/self/fd/" + std::to_string(executable.get());
  TRY(Add(selectors, "path", TRY(ReadLink(self))));
  if (options_.workload_size_limit < 0) return OkStatus();

  const Fd readable(open(self.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!readable.valid()) {
    return Internal("open the executable of process " + std::to_string(caller.pid()) + ": " +
                    strerror(errno));
  }
  const auto limit = static_cast<uint64_t>(options_.workload_size_limit);
  return Add(selectors, "sha256", TRY(digests_.DigestOf(readable.get(), limit)));
}

std::string UnixAttestor::ProcPath(const Caller& caller, std::string_view file) const {
  return options_.proc_root + "/" + std::to_string(caller.pid()) + "/" + std::string(file);
}

}  // namespace

std::unique_ptr<WorkloadAttestor> MakeUnixAttestor(UnixAttestorOptions options, Clock* clock) {
  return std::make_unique<UnixAttestor>(std::move(options), clock);
}

}  // namespace writ
