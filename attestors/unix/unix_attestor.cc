// SPDX-License-Identifier: Apache-2.0
#include "attestors/unix/unix_attestor.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstring>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "attestors/unix/digest_cache.h"
#include "attestors/unix/id_selectors.h"
#include "attestors/unix/proc_status.h"
#include "core/base/file.h"

namespace writ {
namespace {

constexpr std::string_view kType = "unix";
constexpr size_t kStatusBytesMax = 2 << 20;  // 65,536 groups of up to 11 bytes, and the rest

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
      : options_(std::move(options)), ids_(clock), digests_(kDigestsMax, clock) {}

  std::string name() const override { return std::string(kType); }
  Result<std::vector<Selector>> Attest(const Caller& caller, const std::stop_token& left) override;
  std::optional<Result<std::vector<Selector>>> AttestSoon(const Caller& caller) override;
  std::optional<Result<std::vector<Selector>>> AttestNow(const Caller& caller) override;
  void Stop() override { digests_.Stop(); }

 private:
  // The digest of the file behind `fd`; nothing when it would have to be read.
  using Digester = std::function<std::optional<Result<std::string>>(int fd, uint64_t size_limit)>;

  std::optional<Result<std::vector<Selector>>> AttestBy(const Caller& caller,
                                                        const Digester& digester);
  // PermissionDenied when they are no longer those that it connected with.
  Result<ProcessIds> ReadIds(const Caller& caller) const;
  // False when the digester has nothing.
  Result<bool> AddExecutable(const Caller& caller, const Digester& digester,
                             std::vector<Selector>& selectors) const;
  std::string ProcPath(const Caller& caller, std::string_view file) const;

  const UnixAttestorOptions options_;
  IdSelectors ids_;      // its own lock
  DigestCache digests_;  // its own lock
};

Status Add(std::vector<Selector>& selectors, std::string_view kind, std::string_view value) {
  selectors.push_back(TRY(Selector::Make(kType, std::string(kind) + ":" + std::string(value))));
  return OkStatus();
}

// What was read below /proc/<pid> was of the caller if it lives still.
Result<std::vector<Selector>> IfAlive(const Caller& caller, std::vector<Selector> selectors) {
  if (caller.Alive()) return selectors;
  return Unavailable("process " + std::to_string(caller.pid()) + " is gone");
}

Result<std::vector<Selector>> UnixAttestor::Attest(const Caller& caller,
                                                   const std::stop_token& left) {
  const auto answer = AttestBy(caller, [&](int fd, uint64_t size_limit) {
    return std::optional(digests_.DigestOf(fd, size_limit, left));
  });
  return *answer;
}

std::optional<Result<std::vector<Selector>>> UnixAttestor::AttestSoon(const Caller& caller) {
  return AttestBy(caller, [this](int fd, uint64_t size_limit) {
    return digests_.KnownDigestOf(fd, size_limit);
  });
}

std::optional<Result<std::vector<Selector>>> UnixAttestor::AttestBy(const Caller& caller,
                                                                    const Digester& digester) {
  const ProcessIds ids = TRY(ReadIds(caller));
  std::vector<Selector> selectors = TRY(ids_.Find(ids));
  if (options_.discover_workload_path) {
    if (!TRY(AddExecutable(caller, digester, selectors))) return std::nullopt;
    // User and executable must be of one moment: another program may have been started between.
    if (TRY(ReadIds(caller)) != ids) {
      return Aborted("process " + std::to_string(caller.pid()) +
                     " changed its user or groups while it was looked at; call again");
    }
  }
  return IfAlive(caller, std::move(selectors));
}

std::optional<Result<std::vector<Selector>>> UnixAttestor::AttestNow(const Caller& caller) {
  if (options_.discover_workload_path) return std::nullopt;  // opens a file, on any disk
  const Result<ProcessIds> ids = ReadIds(caller);
  if (!ids.ok()) return ids.status();
  std::optional<std::vector<Selector>> selectors = ids_.Kept(*ids);
  if (!selectors) return std::nullopt;
  return IfAlive(caller, *std::move(selectors));
}

Result<ProcessIds> UnixAttestor::ReadIds(const Caller& caller) const {
  const std::string text = TRY(ReadFile(ProcPath(caller, "status"), kStatusBytesMax));
  ProcessIds ids = TRY(ParseProcStatus(text));
  const bool connected_as_root = caller.uid() == 0;
  if (connected_as_root || (ids.uid == caller.uid() && ids.gid == caller.gid())) return ids;
  return PermissionDenied("process " + std::to_string(caller.pid()) +
                          " changed its user or group after it connected (from " +
                          std::to_string(caller.uid()) + ":" + std::to_string(caller.gid()) +
                          " to " + std::to_string(ids.uid) + ":" + std::to_string(ids.gid) +
                          "); it must connect again");
}

// Path and digest of one and the same file: it is opened once, by a descriptor that only refers to
// it (which needs no right to read it), and everything is asked of that descriptor.
Result<bool> UnixAttestor::AddExecutable(const Caller& caller, const Digester& digester,
                                         std::vector<Selector>& selectors) const {
  const std::string link = ProcPath(caller, "exe");
  const Fd executable(open(link.c_str(), O_PATH | O_CLOEXEC));
  if (!executable.valid()) {
    return Internal("find the executable of process " + std::to_string(caller.pid()) + " by " +
                    link + ": " + strerror(errno) +
                    "; the agent must run as root or as the workload's user");
  }
  const std::string self = "/proc/self/fd/" + std::to_string(executable.get());
  TRY(Add(selectors, "path", TRY(ReadLink(self))));
  if (options_.workload_size_limit < 0) return true;

  const Fd readable(open(self.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!readable.valid()) {
    return Internal("open the executable of process " + std::to_string(caller.pid()) + ": " +
                    strerror(errno));
  }
  const auto limit = static_cast<uint64_t>(options_.workload_size_limit);
  const std::optional<Result<std::string>> digest = digester(readable.get(), limit);
  if (!digest) return false;
  TRY(Add(selectors, "sha256", TRY(*digest)));
  return true;
}

std::string UnixAttestor::ProcPath(const Caller& caller, std::string_view file) const {
  return options_.proc_root + "/" + std::to_string(caller.pid()) + "/" + std::string(file);
}

}  // namespace

std::unique_ptr<WorkloadAttestor> MakeUnixAttestor(UnixAttestorOptions options, Clock* clock) {
  return std::make_unique<UnixAttestor>(std::move(options), clock);
}

}  // namespace writ
