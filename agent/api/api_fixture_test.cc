// SPDX-License-Identifier: Apache-2.0
#include "agent/api/api_fixture.h"

#include <grpcpp/create_channel_posix.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>

#include "core/crypto/jws.h"

namespace writ {
namespace {

constexpr auto kCallDeadline = std::chrono::seconds(20);  // only a broken test waits for it

int ConnectTo(const char* path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0 || connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return -1;
  return fd;
}

// One descriptor over a socket pair; -1 when none comes.
void SendFd(int to, int fd) {
  char byte = 'f';
  iovec data{.iov_base = &byte, .iov_len = 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
  msghdr message{
      .msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof fd);
  memcpy(CMSG_DATA(header), &fd, sizeof fd);
  if (sendmsg(to, &message, 0) < 0) _exit(1);
}

int ReceiveFd(int from) {
  char byte;
  iovec data{.iov_base = &byte, .iov_len = 1};
  int fd = -1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
  msghdr message{
      .msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  if (recvmsg(from, &message, MSG_CMSG_CLOEXEC) <= 0) return -1;
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header != nullptr) memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return fd;
}

}  // namespace

Result<std::vector<Selector>> TableAttestor::Attest(const Caller& caller,
                                                    const std::stop_token&) {
  MutexLock lock(mu_);
  ++waiting_;
  changed_.NotifyAll();
  while (paused_) changed_.Wait(mu_);
  --waiting_;
  auto it = answers_.find(caller.pid());
  if (it == answers_.end()) it = answers_.find(0);
  if (it == answers_.end()) return std::vector<Selector>{};
  return it->second;
}

std::optional<Result<std::vector<Selector>>> TableAttestor::AttestSoon(const Caller& caller) {
  return Attest(caller, {});
}

std::optional<Result<std::vector<Selector>>> TableAttestor::AttestNow(const Caller& caller) {
  {
    MutexLock lock(mu_);
    if (!at_once_) return std::nullopt;
  }
  return Attest(caller, {});
}

void TableAttestor::AnswerAtOnce() {
  MutexLock lock(mu_);
  at_once_ = true;
}

void TableAttestor::Pause() {
  MutexLock lock(mu_);
  paused_ = true;
}

void TableAttestor::Resume() {
  MutexLock lock(mu_);
  paused_ = false;
  changed_.NotifyAll();
}

void TableAttestor::AwaitPaused(size_t workers) {
  MutexLock lock(mu_);
  while (!paused_ || waiting_ < workers) changed_.Wait(mu_);
}

void TableAttestor::Answer(pid_t pid, Result<std::vector<Selector>> selectors) {
  MutexLock lock(mu_);
  answers_.insert_or_assign(pid, std::move(selectors));
}

Result<HeldJwt> TableJwtSource::Fetch(const Entry& entry, std::vector<std::string> audience,
                                      MonoTime) {
  MutexLock lock(mu_);
  fetched_ = true;
  fetched_first_.NotifyAll();
  if (!failure_.ok()) return failure_;
  HeldJwt jwt;
  jwt.token = entry.spiffe_id.text() + "|";
  for (const std::string& value : audience) jwt.token += value + ",";
  return jwt;
}

std::optional<HeldJwt> TableJwtSource::Held(const Entry& entry,
                                            std::vector<std::string> audience) {
  MutexLock lock(mu_);
  const auto found = held_.find({entry.id, audience.front()});
  if (audience.size() != 1 || found == held_.end()) return std::nullopt;
  HeldJwt jwt;
  jwt.token = found->second;
  jwt.renew_at = Time::max();
  return jwt;
}

void TableJwtSource::AwaitFetch() {
  MutexLock lock(mu_);
  while (!fetched_) fetched_first_.Wait(mu_);
}

void TableJwtSource::Hold(const Entry& entry, const std::string& audience, std::string token) {
  MutexLock lock(mu_);
  held_[{entry.id, audience}] = std::move(token);
}

void TableJwtSource::Fail(Status status) {
  MutexLock lock(mu_);
  failure_ = std::move(status);
}

OtherProcess::OtherProcess(const std::string& socket_path) {
  int pair[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
  pid_ = fork();
  CHECK(pid_ >= 0);
  if (pid_ == 0) {  // system calls only: other threads may have held locks
    SendFd(pair[1], ConnectTo(socket_path.c_str()));
    while (true) pause();
  }
  close(pair[1]);
  connection_ = ReceiveFd(pair[0]);
  close(pair[0]);
  CHECK(connection_ >= 0);
}

OtherProcess::~OtherProcess() { Kill(); }

void OtherProcess::Kill() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

std::shared_ptr<grpc::Channel> OtherProcess::Channel() {
  return grpc::CreateInsecureChannelFromFd("workload", std::exchange(connection_, -1));
}

ApiFixture::ApiFixture(Duration swap_grace, bool bundles_for_all) {
  signer_ = MakeSoftwareSigner(PrivateKey::Generate(KeyType::kEcP256).value());
  cache_ = Cache::Make(&clock_, {});
  auto attestor = std::make_unique<TableAttestor>();
  attestor_ = attestor.get();
  attestor_->Answer(0, std::vector<Selector>{a_});
  std::vector<std::unique_ptr<WorkloadAttestor>> attestors;
  attestors.push_back(std::move(attestor));
  attestation_ = std::make_unique<WorkloadAttestation>(std::move(attestors), &clock_, &log_);
  api_ = WorkloadApi::Make({.trust_domain = td_,
                            .calls_per_second = kCallsPerSecond,
                            .bundles_for_all = bundles_for_all,
                            .swap_grace = swap_grace,
                            .cache = cache_.get(),
                            .jwt = &jwt_,
                            .attestation = attestation_.get(),
                            .refusals = &refusals_,
                            .clock = &clock_,
                            .random = &random_,
                            .log = &log_});
  why_ = MakeWhy(WhyApiOptions::Scope::kCallerAlone);
  admin_why_ = MakeWhy(WhyApiOptions::Scope::kEveryProcess);
  health_ = HealthService::Make({.ready = [] { return OkStatus(); }, .clock = &system_clock_});
  auto server = GrpcServer::Start(
      {.name = "workload",
       .services = {api_->service(), why_->service(), health_->service()},
       .reflection = true,
       .unix_listeners = {{.path = socket_, .mode = 0666, .directory_mode = 0755}},
       .clock = &system_clock_,
       .log = &log_});
  CHECK(server.ok());
  server_ = std::move(server).value();
  api_->ServeOn(server_.get());
  why_->ServeOn(server_.get());
  auto admin = GrpcServer::Start(
      {.name = "admin",
       .services = {admin_why_->service()},
       .unix_listeners = {{.path = admin_socket_, .mode = 0660, .directory_mode = 0750}},
       .clock = &system_clock_,
       .log = &log_});
  CHECK(admin.ok());
  admin_server_ = std::move(admin).value();
  admin_why_->ServeOn(admin_server_.get());
  stub_ = NewStub();
}

ApiFixture::~ApiFixture() {
  if (server_ != nullptr) StopServing();
}

void ApiFixture::StopServing() {
  api_->EndStreams();
  health_->EndWatches();
  server_->Shutdown(system_clock_.Monotonic() + kCallDeadline);
  admin_server_->Shutdown(system_clock_.Monotonic() + kCallDeadline);
  server_.reset();
  admin_server_.reset();
}

std::unique_ptr<WhyApi> ApiFixture::MakeWhy(WhyApiOptions::Scope scope) {
  return WhyApi::Make({.scope = scope,
                       .calls_per_second = kCallsPerSecond,
                       .ready = [this] { return ready_; },
                       .own_certificate = [this] { return own_certificate_; },
                       .cache = cache_.get(),
                       .attestation = attestation_.get(),
                       .refusals = &refusals_,
                       .clock = &clock_});
}

std::unique_ptr<ApiFixture::Stub> ApiFixture::NewStub() const {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection of its own
  return SpiffeWorkloadAPI::NewStub(
      grpc::CreateCustomChannel("unix:" + socket_, grpc::InsecureChannelCredentials(), arguments));
}

std::unique_ptr<grpc::ClientContext> ApiFixture::Context(bool with_header) {
  auto context = std::make_unique<grpc::ClientContext>();
  if (with_header) context->AddMetadata("workload.spiffe.io", "true");
  context->set_deadline(SystemClock().Now() + kCallDeadline);
  return context;
}

Entry ApiFixture::MakeEntry(const std::string& id, const std::string& path,
                            Selectors selectors) const {
  return Entry{.id = id,
               .spiffe_id = SpiffeId::FromPath(td_, path).value(),
               .parent_id = SpiffeId::FromPath(td_, "/spire/agent/join_token/t").value(),
               .selectors = std::move(selectors)};
}

std::shared_ptr<const HeldX509> ApiFixture::MakeX509(const std::string& chain) const {
  auto held = std::make_shared<HeldX509>();
  held->chain_der = chain;
  held->key_pkcs8 = Secret("key of " + chain);
  held->not_before = clock_.Now();
  held->not_after = clock_.Now() + std::chrono::hours(1);
  return held;
}

std::shared_ptr<const Bundle> ApiFixture::MakeBundle(int authorities) {
  while (authorities_.size() < static_cast<size_t>(authorities)) {
    const CertificateTemplate root{.serial = Serial::Generate(random_),
                                   .subject = {.organization = "Test"},
                                   .not_before = clock_.Now(),
                                   .not_after = clock_.Now() + std::chrono::hours(24),
                                   .uri_sans = {td_.id()},
                                   .is_ca = true};
    const std::string der = SignSelfSigned(root, *signer_).value();
    authorities_.push_back({.certificate = Certificate::FromDer(der).value()});
  }
  return std::make_shared<const Bundle>(
      Bundle{.trust_domain = td_,
             .x509 = {authorities_.begin(), authorities_.begin() + authorities},
             .jwt = {{.key_id = "k1", .key = signer_->Public()}}});
}

void ApiFixture::ApplyOneIdentity() {
  cache_->Apply({.put = {MakeEntry("e1", "/a", {a_})},
                 .x509 = {{"e1", MakeX509("chain 1")}},
                 .bundle = MakeBundle(1)});
}

void ApiFixture::Rotate(const std::string& entry_id, const std::string& chain) {
  cache_->Apply({.x509 = {{entry_id, MakeX509(chain)}}});
}

std::string ApiFixture::SignToken(const Json& claims) const {
  return SignJws(claims, "k1", "JWT", *signer_).value();
}

Json ApiFixture::Claims(const std::string& id, const std::string& audience,
                        int64_t exp_in_seconds) const {
  const int64_t now = ToUnixSeconds(clock_.Now());
  Json claims = Json::MakeObject();
  claims.Set("sub", id).Set("aud", audience).Set("exp", now + exp_in_seconds).Set("iat", now);
  return claims;
}

}  // namespace writ
