// How often each token followed each of the named contexts: one table of bytes for all of them,
// which may lie in a mapped file.
//
// Contexts are told apart by 15 bits of a hash beside the bucket that they are in, some 16 of them:
// one in 2,000 is taken for another one, whether it ever occurred or not. Most contexts occur once,
// and take three bytes.
//
// Immutable: threads may share it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "infgram/rows/prefetch.hpp"
#include "infgram/rows/types.hpp"

namespace infgram::mix {

[[noreturn]] inline void throw_damaged() {
    throw CorruptIndex("what the mixture counted is damaged: run `infgram fit`");
}

// A token that followed a context, and how often.
struct Follower {
    std::uint32_t code;
    std::uint32_t count;
};

// A bucket's contexts, one after another, each
//     15 bits of its hash, and 1: it occurred once; then the code that followed
//     15 bits of its hash, and 0; then how many bytes its followers take, and those: the code, the
//     count
// Numbers but codes and hashes are as rows/numbers.hpp writes them.
class BucketReader {
public:
    // Throws CorruptIndex, here and below, where what is read says that more follows than there is.
    explicit BucketReader(std::span<const std::uint8_t> bytes) noexcept : bytes_(bytes) {}

    // Goes to a context's followers; false if it is not here.
    bool find(std::uint32_t check) {
        while (at_ != bytes_.size()) {
            const std::uint32_t low = byte();
            const std::uint32_t head = low | byte() << 8;
            is_once_ = (head & 1) != 0;
            const std::uint32_t size = is_once_ ? 1 : number();
            if (size == 0 || size > bytes_.size() - at_) throw_damaged();
            if (head >> 1 == check) {
                bytes_ = bytes_.first(at_ + size);
                return true;
            }
            at_ += size;
        }
        return false;
    }

    // Calls visit(Follower) for each of the context found, by rising codes below n_codes.
    template <class Visit>
    void followers(std::uint32_t n_codes, Visit&& visit) {
        std::uint32_t least = 0;
        while (at_ != bytes_.size()) {
            const std::uint32_t code = byte();
            const std::uint32_t count = is_once_ ? 1 : number();
            if (code < least || code >= n_codes || count == 0) throw_damaged();
            visit(Follower{code, count});
            least = code + 1;
        }
    }

private:
    std::uint32_t byte() {
        if (at_ == bytes_.size()) throw_damaged();
        return bytes_[at_++];
    }
    std::uint32_t number() {
        std::uint32_t value = 0;
        for (std::uint32_t shift = 0; shift < 28;
             shift += 7) {  // so 256 counts are below 2^32 * 16
            const std::uint32_t next = byte();
            value |= (next & 127) << shift;
            if (next < 128) return value;
        }
        throw_damaged();
    }

    std::span<const std::uint8_t> bytes_;
    std::size_t at_ = 0;
    bool is_once_ = false;
};

class NamedCounts {
public:
    // bytes: of all buckets. offsets: where each begins, and the end. owner: of both. What they
    // hold is checked where it is read. Throws CorruptIndex.
    NamedCounts(std::span<const std::uint32_t> offsets, std::span<const std::uint8_t> bytes,
                std::shared_ptr<const void> owner, std::uint32_t n_codes)
        : offsets_(offsets), bytes_(bytes), owner_(std::move(owner)), n_codes_(n_codes) {
        const std::uint64_t n = offsets.size();  // of 32 bits on some machines
        if (n < 2 || n > std::uint64_t{1} << 32) throw_damaged();
    }

    [[nodiscard]] std::span<const std::uint32_t> offsets() const noexcept { return offsets_; }
    [[nodiscard]] std::span<const std::uint8_t> bytes() const noexcept { return bytes_; }

    // Which bucket a context is in, of n, and what tells it from others there.
    static std::size_t bucket(std::uint64_t key, std::size_t n) noexcept {
        return static_cast<std::size_t>((key * spread >> 32) * n >> 32);
    }
    static std::uint32_t check(std::uint64_t key) noexcept {
        return static_cast<std::uint32_t>(key & 0x7fff);
    }

    // A context is looked up in three steps, so that memory is asked for early.
    [[nodiscard]] std::size_t bucket(std::uint64_t key) const noexcept {
        return bucket(key, offsets_.size() - 1);
    }
    void prefetch_offsets(std::size_t bucket) const noexcept { prefetch(&offsets_[bucket]); }
    [[nodiscard]] std::span<const std::uint8_t> open(std::size_t bucket) const {
        const std::size_t begin = offsets_[bucket];
        const std::size_t end = offsets_[bucket + 1];
        if (begin > end || end > bytes_.size()) throw_damaged();
        const auto opened = bytes_.subspan(begin, end - begin);
        if (!opened.empty()) {
            prefetch(opened.data());
            prefetch(&opened.back());
        }
        return opened;
    }
    // Calls visit(Follower) for each token that followed, by rising codes.
    template <class Visit>
    void for_each(std::span<const std::uint8_t> bucket, std::uint64_t key, Visit&& visit) const {
        BucketReader reader(bucket);
        if (reader.find(check(key))) reader.followers(n_codes_, visit);
    }

private:
    static constexpr std::uint64_t spread = 0xd6e8feb86659fd93ULL;

    std::span<const std::uint32_t> offsets_;
    std::span<const std::uint8_t> bytes_;
    std::shared_ptr<const void> owner_;
    std::uint32_t n_codes_;
};

}  // namespace infgram::mix
