// SPDX-License-Identifier: Apache-2.0
//
// Object identifiers that core/crypto reads and writes, as DER content octets.
#pragma once

#include <string_view>

namespace writ::oid {

// Keys (RFC 3279, RFC 5480, RFC 8410).
inline constexpr std::string_view kRsaEncryption = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
inline constexpr std::string_view kEcPublicKey = "\x2a\x86\x48\xce\x3d\x02\x01";
inline constexpr std::string_view kP256 = "\x2a\x86\x48\xce\x3d\x03\x01\x07";
inline constexpr std::string_view kP384 = std::string_view("\x2b\x81\x04\x00\x22", 5);
inline constexpr std::string_view kP521 = std::string_view("\x2b\x81\x04\x00\x23", 5);
inline constexpr std::string_view kEd25519 = "\x2b\x65\x70";

// Signatures (RFC 4055, RFC 5758).
inline constexpr std::string_view kEcdsaSha256 = "\x2a\x86\x48\xce\x3d\x04\x03\x02";
inline constexpr std::string_view kEcdsaSha384 = "\x2a\x86\x48\xce\x3d\x04\x03\x03";
inline constexpr std::string_view kEcdsaSha512 = "\x2a\x86\x48\xce\x3d\x04\x03\x04";
inline constexpr std::string_view kRsaSha256 = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b";
inline constexpr std::string_view kRsaSha384 = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c";
inline constexpr std::string_view kRsaSha512 = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d";
inline constexpr std::string_view kRsaPss = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a";
inline constexpr std::string_view kMgf1 = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08";
inline constexpr std::string_view kSha256 = "\x60\x86\x48\x01\x65\x03\x04\x02\x01";
inline constexpr std::string_view kSha384 = "\x60\x86\x48\x01\x65\x03\x04\x02\x02";
inline constexpr std::string_view kSha512 = "\x60\x86\x48\x01\x65\x03\x04\x02\x03";

// Name attributes (X.520, RFC 4519).
inline constexpr std::string_view kCommonName = "\x55\x04\x03";
inline constexpr std::string_view kSerialNumber = "\x55\x04\x05";
inline constexpr std::string_view kCountry = "\x55\x04\x06";
inline constexpr std::string_view kLocality = "\x55\x04\x07";
inline constexpr std::string_view kState = "\x55\x04\x08";
inline constexpr std::string_view kStreet = "\x55\x04\x09";
inline constexpr std::string_view kOrganization = "\x55\x04\x0a";
inline constexpr std::string_view kOrganizationalUnit = "\x55\x04\x0b";
inline constexpr std::string_view kUserId = "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01";
inline constexpr std::string_view kDomainComponent = "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19";

// Extensions (RFC 5280) and the attribute that requests them (RFC 2985).
inline constexpr std::string_view kSubjectKeyId = "\x55\x1d\x0e";
inline constexpr std::string_view kKeyUsage = "\x55\x1d\x0f";
inline constexpr std::string_view kSubjectAltName = "\x55\x1d\x11";
inline constexpr std::string_view kBasicConstraints = "\x55\x1d\x13";
inline constexpr std::string_view kAuthorityKeyId = "\x55\x1d\x23";
inline constexpr std::string_view kExtKeyUsage = "\x55\x1d\x25";
inline constexpr std::string_view kServerAuth = "\x2b\x06\x01\x05\x05\x07\x03\x01";
inline constexpr std::string_view kClientAuth = "\x2b\x06\x01\x05\x05\x07\x03\x02";
inline constexpr std::string_view kExtensionRequest = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e";

}  // namespace writ::oid
