// SPDX-License-Identifier: Apache-2.0
#include "agent/api/delivery.h"

#include <string>
#include <utility>
#include <vector>

namespace writ {

Delivery::Delivery() : thread_("delivery", [this](std::stop_token) { Run(); }) {}

Delivery::~Delivery() {
  {
    MutexLock lock(mu_);
    closing_ = true;
  }
  ready_.NotifyAll();
  thread_.Join();
}

void Delivery::Schedule(std::shared_ptr<Deliverable> stream) {
  {
    MutexLock lock(mu_);
    if (closing_ || stream->in_line_) return;
    stream->in_line_ = true;
    line_.push_back(std::move(stream));
  }
  ready_.NotifyOne();
}

void Delivery::Run() {
  while (true) {
    std::shared_ptr<Deliverable> stream;
    {
      MutexLock lock(mu_);
      while (line_.empty() && !closing_) ready_.Wait(mu_);
      if (closing_) return;
      stream = std::move(line_.front());
      line_.pop_front();
      stream->in_line_ = false;  // from here on a new event queues it again
    }
    stream->Deliver();
  }
}

Result<uint64_t> OpenStreams::Enter(pid_t pid, std::weak_ptr<Deliverable> stream) {
  MutexLock lock(mu_);
  if (!ended_.ok()) return ended_;
  if (open_.size() >= kStreamsMax) {
    return ResourceExhausted("the agent serves " + std::to_string(kStreamsMax) +
                             " streams already; call again later");
  }
  size_t& of_process = by_process_[pid];
  if (of_process >= kStreamsPerProcessMax) {
    return ResourceExhausted("process " + std::to_string(pid) + " has " +
                             std::to_string(kStreamsPerProcessMax) +
                             " streams open already; close some, or share one");
  }
  ++of_process;
  const uint64_t number = next_number_++;
  open_.emplace(number, Open{.pid = pid, .stream = std::move(stream)});
  return number;
}

void OpenStreams::Leave(uint64_t number) {
  MutexLock lock(mu_);
  const auto it = open_.find(number);
  CHECK(it != open_.end());
  const auto of_process = by_process_.find(it->second.pid);
  if (--of_process->second == 0) by_process_.erase(of_process);
  open_.erase(it);
}

void OpenStreams::EndAll(const Status& status) {
  std::vector<std::shared_ptr<Deliverable>> streams;
  {
    MutexLock lock(mu_);
    ended_ = status;
    for (const auto& [number, open] : open_) {
      if (auto stream = open.stream.lock()) streams.push_back(std::move(stream));
    }
  }
  for (const auto& stream : streams) stream->End(status);
}

size_t OpenStreams::size() const {
  MutexLock lock(mu_);
  return open_.size();
}

}  // namespace writ
