// SPDX-License-Identifier: Apache-2.0
#include "test/support/paths.h"

#include <stdlib.h>

#include <filesystem>

#include "core/base/status.h"

namespace writ {

std::string SourcePath(std::string_view relative) {
  return std::string(WRIT_SOURCE_DIR) + "/" + std::string(relative);
}

TempDir::TempDir() {
  std::string pattern = std::filesystem::temp_directory_path() / "writ-test-XXXXXX";
  CHECK(mkdtemp(pattern.data()) != nullptr);
  path_ = pattern;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace writ
