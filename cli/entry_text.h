// SPDX-License-Identifier: Apache-2.0
//
// Entries between the wire's messages and what people write and read: flags, files of many, tables
// and JSON. The file's members are SPIRE's names, so that its files load unchanged.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/status.h"
#include "spire/api/types/entry.pb.h"
#include "spire/api/types/selector.pb.h"
#include "spire/api/types/spiffeid.pb.h"

namespace writ {

// A valid SPIFFE ID as the message; InvalidArgument says what is wrong with it.
Result<spire::api::types::SPIFFEID> IdMessage(std::string_view text);
std::string IdText(const spire::api::types::SPIFFEID& id);
Result<spire::api::types::Selector> SelectorMessage(std::string_view text);

// "90s", "1h30m", or whole seconds.
Result<int32_t> TtlSeconds(std::string_view text);
// Unix seconds, or "2027-01-31T12:00:00Z".
Result<int64_t> UnixSeconds(std::string_view text);

// For AddChecked.
Status CheckId(std::string_view text);
Status CheckSelector(std::string_view text);
Status CheckTtl(std::string_view text);
Status CheckTime(std::string_view text);
Status CheckNotEmpty(std::string_view text);

// Every entry of a file: {"entries": [...]}, a list, or one entry. `name` is for errors.
Result<std::vector<spire::api::types::Entry>> EntriesFromFile(std::string_view text,
                                                              const std::string& name);

Json EntryJson(const spire::api::types::Entry& entry);
void PrintEntry(std::ostream& out, const spire::api::types::Entry& entry, Time now);

}  // namespace writ
