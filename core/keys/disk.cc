// SPDX-License-Identifier: Apache-2.0
//
// DiskKeys: one PKCS#8 PEM file per key. The files alone are the state: nothing is cached, and each
// operation is one atomic, durable change of one file.
//
// Trust: whoever may write to the directory owns the keys, so it and the files must be ours alone.
// Threads: thread-safe, by the atomicity of its file operations.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/base/bytes.h"
#include "core/base/file.h"
#include "core/keys/key_manager.h"

namespace writ {
namespace {

constexpr std::string_view kSuffix = ".pem";
constexpr std::string_view kHeader = "-----BEGIN PRIVATE KEY-----\n";
constexpr std::string_view kFooter = "-----END PRIVATE KEY-----\n";
constexpr size_t kPemLineBytes = 64;
constexpr size_t kKeyFileBytesMax = 32 << 10;
constexpr mode_t kKeyFileMode = 0600;
constexpr mode_t kDirectoryMode = 0700;
constexpr mode_t kOthersMask = 077;

// What stands open at `fd` must be of the given kind, ours, and closed to everyone else.
Status CheckOwnership(int fd, const std::string& path, mode_t kind, mode_t mode) {
  struct stat info {};
  if (fstat(fd, &info) != 0) return Internal("look at " + path + ": " + std::strerror(errno));
  if ((info.st_mode & S_IFMT) != kind) {
    return FailedPrecondition(path + " must be a " + (kind == S_IFDIR ? "directory" : "file") +
                              " and is something else; move it away");
  }
  if (info.st_uid != geteuid()) {
    return FailedPrecondition(path + " belongs to uid " + std::to_string(info.st_uid) +
                              ", expected uid " + std::to_string(geteuid()) +
                              "; a private key must belong to the user that uses it");
  }
  if ((info.st_mode & kOthersMask) != 0) {
    const char* octal = mode == kDirectoryMode ? "0700" : "0600";
    return FailedPrecondition(path + " is open to other users; set its mode to " + octal +
                              ", and replace the keys if others may have read them");
  }
  return OkStatus();
}

Result<Fd> OpenOwned(const std::string& path, mode_t kind, mode_t mode) {
  int directory = kind == S_IFDIR ? O_DIRECTORY : 0;
  Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | directory));
  if (!fd.valid()) {
    int error = errno;
    if (error == ENOENT) return NotFound(path + " does not exist");
    if (error == ELOOP || (error == ENOTDIR && kind == S_IFDIR)) {
      return FailedPrecondition(path + " must be a " + (kind == S_IFDIR ? "directory" : "file") +
                                " and is a link or something else; move it away");
    }
    return Internal("open " + path + ": " + std::strerror(error));
  }
  TRY(CheckOwnership(fd.get(), path, kind, mode));
  return fd;
}

Result<Secret> ReadSecret(int fd, const std::string& path) {
  std::string bytes(kKeyFileBytesMax + 1, '\0');
  size_t had = 0;
  while (had < bytes.size()) {
    ssize_t got = read(fd, bytes.data() + had, bytes.size() - had);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      Status status = Internal("read " + path + ": " + std::strerror(errno));
      Wipe(bytes.data(), bytes.size());
      return status;
    }
    if (got == 0) break;
    had += static_cast<size_t>(got);
  }
  bytes.resize(had);
  Secret secret(std::move(bytes));
  if (secret.size() > kKeyFileBytesMax) return DataLoss(path + " is too large for a key file");
  return secret;
}

Secret ToPem(const Secret& der) {
  std::string base64 = Base64Encode(der.Reveal());
  std::string pem;
  pem.reserve(kHeader.size() + base64.size() * 2 + kFooter.size());  // never moved: no stray copy
  pem += kHeader;
  for (size_t at = 0; at < base64.size(); at += kPemLineBytes) {
    pem.append(base64, at, kPemLineBytes);
    pem += '\n';
  }
  pem += kFooter;
  Wipe(base64.data(), base64.size());
  return Secret(std::move(pem));
}

// Takes exactly what ToPem writes; errors never quote the text.
Result<Secret> FromPem(const Secret& pem) {
  std::string_view text = pem.Reveal();
  if (!text.starts_with(kHeader) || !text.ends_with(kFooter) ||
      text.size() < kHeader.size() + kFooter.size()) {
    return DataLoss("expected one PEM block of an unencrypted PKCS#8 private key");
  }
  text.remove_prefix(kHeader.size());
  text.remove_suffix(kFooter.size());
  std::string base64;
  base64.reserve(text.size());
  for (char c : text) {
    if (c != '\n') base64 += c;
  }
  Result<std::string> der = Base64Decode(base64);
  Wipe(base64.data(), base64.size());
  if (!der.ok()) return DataLoss("the PEM block is damaged");
  return Secret(std::move(der).value());
}

class DiskKeys final : public KeyManager {
 public:
  explicit DiskKeys(std::string directory) : directory_(std::move(directory)) {}

  Result<std::shared_ptr<Signer>> Generate(const std::string& name, KeyType type) override {
    TRY(ValidateKeyName(name));
    std::string deed = "generate key " + name;
    PrivateKey key = TRY(PrivateKey::Generate(type), deed);
    Secret pem = ToPem(TRY(key.ExportPkcs8(), deed));
    TRY(WriteFileAtomic(PathOf(name), pem.Reveal(), kKeyFileMode), deed);
    // What was written is read again: a key that only this process knows is worth nothing later.
    PrivateKey stored = TRY(Load(name), deed);
    if (stored.Public() != key.Public()) {
      return Aborted(deed + ": " + PathOf(name) + " was replaced meanwhile; generate it again");
    }
    return MakeSoftwareSigner(std::move(key));
  }

  Result<std::shared_ptr<Signer>> Get(const std::string& name) override {
    TRY(ValidateKeyName(name));
    return MakeSoftwareSigner(TRY(Load(name), "load key " + name));
  }

  Result<std::vector<std::string>> List() override {
    std::vector<std::string> names;
    for (std::string_view file : TRY(ListDirectory(directory_), "list keys")) {
      if (!file.ends_with(kSuffix)) continue;
      file.remove_suffix(kSuffix.size());
      if (ValidateKeyName(file).ok()) names.emplace_back(file);
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  Status Remove(const std::string& name) override {
    TRY(ValidateKeyName(name));
    return RemoveFile(PathOf(name)).Annotate("remove key " + name);
  }

 private:
  std::string PathOf(const std::string& name) const {
    return directory_ + "/" + name + std::string(kSuffix);
  }

  Result<PrivateKey> Load(const std::string& name) const {
    std::string path = PathOf(name);
    Fd fd = TRY(OpenOwned(path, S_IFREG, kKeyFileMode));
    Secret pem = TRY(ReadSecret(fd.get(), path));
    Secret der = TRY(FromPem(pem), path);
    Result<PrivateKey> key = PrivateKey::FromPkcs8(der);
    if (!key.ok()) {
      return DataLoss(path + " holds no usable private key: " + key.status().message());
    }
    return key;
  }

  const std::string directory_;
};

// Files that a crash left behind between their making and their renaming.
Status RemoveStaleTemporaries(const std::string& directory) {
  for (const std::string& file : TRY(ListDirectory(directory))) {
    if (!file.starts_with('.') || !file.ends_with(".tmp")) continue;
    TRY(RemoveFile(directory + "/" + file));
  }
  return OkStatus();
}

}  // namespace

Result<std::unique_ptr<KeyManager>> OpenDiskKeys(const std::string& directory) {
  std::string deed = "open key directory " + directory;
  TRY(MakeDirectories(directory, kDirectoryMode), deed);
  TRY(OpenOwned(directory, S_IFDIR, kDirectoryMode), deed);
  TRY(RemoveStaleTemporaries(directory), deed);
  return std::unique_ptr<KeyManager>(std::make_unique<DiskKeys>(directory));
}

}  // namespace writ
