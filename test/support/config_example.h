// SPDX-License-Identifier: Apache-2.0
//
// Holds an example configuration to what it promises: every setting of the program, with its
// default.
#pragma once

#include <string>

namespace writ {

// The text of a file of conf/ with its commented-out settings ("# ttl: 24h") put in force.
std::string UncommentedExample(const std::string& relative);

// Each setting in `reference` (ConfigSchema::Reference) stands in `example`, with its default where
// it has one; those of a kind that is not used in a comment below the kind's name.
void ExpectExampleIsComplete(const std::string& example, const std::string& reference);

}  // namespace writ
