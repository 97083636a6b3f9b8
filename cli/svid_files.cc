// SPDX-License-Identifier: Apache-2.0
#include "cli/svid_files.h"

#include <unistd.h>

#include <algorithm>

#include "core/base/bytes.h"
#include "core/base/file.h"

namespace writ {
namespace {

constexpr mode_t kDirectoryMode = 0700;
constexpr mode_t kSecretMode = 0600;
constexpr mode_t kPublicMode = 0644;
constexpr size_t kPemLineLength = 64;

std::vector<std::string> X509Paths(const std::string& directory, int number) {
  const std::string stem = "." + std::to_string(number) + ".";
  return {directory + "/svid" + stem + "key", directory + "/svid" + stem + "pem",
          directory + "/bundle" + stem + "pem"};
}

std::vector<std::string> JwtPaths(const std::string& directory, int number) {
  return {directory + "/jwt_svid." + std::to_string(number) + ".token"};
}

// A run numbers what it writes without gaps.
Status RemoveFrom(const std::string& directory, int number,
                  std::vector<std::string> (*paths_of)(const std::string&, int)) {
  while (true) {
    const std::vector<std::string> paths = paths_of(directory, number++);
    const bool any = std::ranges::any_of(
        paths, [](const std::string& path) { return access(path.c_str(), F_OK) == 0; });
    if (!any) return OkStatus();
    for (const std::string& path : paths) TRY(RemoveFile(path), "remove an older SVID");
  }
}

}  // namespace

std::string ChainPem(std::span<const Certificate> chain) {
  std::string pem;
  for (const Certificate& certificate : chain) pem += certificate.ToPem();
  return pem;
}

Secret Pkcs8Pem(const Secret& der) {
  std::string base64 = Base64Encode(der.Reveal());
  std::string pem = "-----BEGIN PRIVATE KEY-----\n";
  pem.reserve(pem.size() + base64.size() * 2 + 64);  // no copy of the key is left behind by growth
  for (size_t at = 0; at < base64.size(); at += kPemLineLength) {
    pem.append(base64, at, kPemLineLength);
    pem += '\n';
  }
  pem += "-----END PRIVATE KEY-----\n";
  Wipe(base64.data(), base64.size());
  return Secret(std::move(pem));
}

Result<std::vector<std::string>> WriteX509Files(const std::string& directory, int number,
                                                std::span<const Certificate> chain,
                                                const Secret& key_pkcs8,
                                                std::span<const Certificate> bundle) {
  TRY(MakeDirectories(directory, kDirectoryMode));
  std::vector<std::string> paths = X509Paths(directory, number);
  TRY(WriteFileAtomic(paths[0], Pkcs8Pem(key_pkcs8).Reveal(), kSecretMode));
  TRY(WriteFileAtomic(paths[1], ChainPem(chain), kPublicMode));
  TRY(WriteFileAtomic(paths[2], ChainPem(bundle), kPublicMode));
  return paths;
}

Result<std::string> WriteJwtFile(const std::string& directory, int number,
                                 std::string_view token) {
  TRY(MakeDirectories(directory, kDirectoryMode));
  std::string path = JwtPaths(directory, number).front();
  TRY(WriteFileAtomic(path, token, kSecretMode));
  return path;
}

Status RemoveX509FilesFrom(const std::string& directory, int number) {
  return RemoveFrom(directory, number, X509Paths);
}

Status RemoveJwtFilesFrom(const std::string& directory, int number) {
  return RemoveFrom(directory, number, JwtPaths);
}

}  // namespace writ
