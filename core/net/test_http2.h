// SPDX-License-Identifier: Apache-2.0
//
// HTTP/2 by hand, for tests of hostile clients: frames, and the header block of a call.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

namespace writ {

inline std::string Http2FrameBytes(uint8_t type, uint8_t flags, uint32_t stream,
                                   const std::string& payload) {
  std::string frame;
  for (int shift : {16, 8, 0}) frame.push_back(static_cast<char>(payload.size() >> shift));
  frame.push_back(static_cast<char>(type));
  frame.push_back(static_cast<char>(flags));
  for (int shift : {24, 16, 8, 0}) frame.push_back(static_cast<char>(stream >> shift));
  return frame + payload;
}

inline std::string ResetFrame(uint32_t stream) {
  return Http2FrameBytes(3, 0, stream, std::string("\0\0\0\x08", 4));
}

// A header block that does not end, of a literal that claims to be of 2 GiB.
inline std::string EndlessHeaders(uint32_t stream) {
  const std::string block("\0\x01x\x7f\xff\xff\xff\xff\x07", 9);
  std::string frames = Http2FrameBytes(1, 0, stream, block);
  for (int i = 0; i < 100; ++i) frames += Http2FrameBytes(9, 0, stream, std::string(16384, 'a'));
  return frames;
}

// What begins a call: literals that change no table (RFC 7541 section 6.2.2).
inline std::string CallHeaders(uint32_t stream, const std::string& path) {
  constexpr uint8_t kEndHeaders = 4;
  std::string block;
  for (const auto& [name, value] : {std::pair<std::string, std::string>{":method", "POST"},
                                    {":scheme", "http"},
                                    {":path", path},
                                    {":authority", "localhost"},
                                    {"content-type", "application/grpc"},
                                    {"te", "trailers"}}) {
    block.push_back('\0');
    block.push_back(static_cast<char>(name.size()));
    block += name;
    block.push_back(static_cast<char>(value.size()));
    block += value;
  }
  return Http2FrameBytes(1, kEndHeaders, stream, block);
}

// The request of a unary call with an empty message.
inline std::string CallFrames(uint32_t stream, const std::string& path) {
  constexpr uint8_t kEndStream = 1;
  return CallHeaders(stream, path) +
         Http2FrameBytes(0, kEndStream, stream, std::string(5, '\0'));
}

}  // namespace writ
