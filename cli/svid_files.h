// SPDX-License-Identifier: Apache-2.0
//
// SVIDs as files: keys 0600, certificates and tokens' neighbours as their secrecy asks, each
// replaced atomically, so that a reader never sees half of one.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/secret.h"
#include "core/base/status.h"
#include "core/crypto/x509.h"

namespace writ {

std::string ChainPem(std::span<const Certificate> chain);
Secret Pkcs8Pem(const Secret& der);

// DIR/svid.N.pem, DIR/svid.N.key and DIR/bundle.N.pem; the directory is made 0700 when absent. The
// paths that were written.
Result<std::vector<std::string>> WriteX509Files(const std::string& directory, int number,
                                                std::span<const Certificate> chain,
                                                const Secret& key_pkcs8,
                                                std::span<const Certificate> bundle);
// DIR/jwt_svid.N.token, 0600: a token is a bearer secret.
Result<std::string> WriteJwtFile(const std::string& directory, int number, std::string_view token);

// What an earlier run, which got more of them, has left behind from `number` on.
Status RemoveX509FilesFrom(const std::string& directory, int number);
Status RemoveJwtFilesFrom(const std::string& directory, int number);

}  // namespace writ
