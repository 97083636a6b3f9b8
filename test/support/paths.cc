// SPDX-License-Identifier: Apache-2.0
#include "test/support/paths.h"

#include <stdlib.h>

#include <filesystem>

#include "core/base/status.h"

namespace writ {

std::string SourcePath(std::string_view relative) {
  return std::string(WRIT_SOURCE_DIR) + "/" + std::string(relative);
}

TempDir::TempDir() : TempDir(std::filesystem::temp_directory_path()) {}

TempDir::TempDir(const std::string& base) {
  path_ = base + "/writ-test-XXXXXX";
  if (mkdtemp(path_.data()) != nullptr) return;
  path_ = std::filesystem::temp_directory_path() / "writ-test-XXXXXX";
  CHECK(mkdtemp(path_.data()) != nullptr);
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace writ
