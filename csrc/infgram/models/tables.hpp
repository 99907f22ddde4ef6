// A cache of continuation tables: wide ranges are counted once and then looked up.
//
// Thread-safety: all methods may run in parallel. Looking up takes no lock: slots only ever change
// from empty to a table, and tables never change.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "infgram/contexts/continuation.hpp"
#include "infgram/rows/prefetch.hpp"

namespace infgram {

class TableCache {
public:
    // Ranges of fewer rows are counted each time: that is as fast as looking up.
    static constexpr std::uint32_t narrow_rows = 12;
    // Ranges of more rows are always kept: there are few, and counting them takes long.
    static constexpr std::uint32_t wide_rows = 4096;

    // n_rows: of the whole index. Tables of ranges that are not wide take at most max_bytes.
    TableCache(std::uint64_t n_rows, std::size_t max_bytes)
        : max_bytes_(max_bytes),
          slots_(std::bit_ceil(std::clamp<std::uint64_t>(n_rows / 8, 1u << 10, 1u << 22))) {}
    TableCache(const TableCache&) = delete;
    TableCache& operator=(const TableCache&) = delete;
    ~TableCache() {
        for (auto& slot : slots_) delete slot.load(std::memory_order_relaxed);
    }

    // Asks memory for where `find` looks first.
    void prefetch(std::uint32_t n, std::span<const Range> ranges) const noexcept {
        infgram::prefetch(&slots_[hash(n, ranges) & (slots_.size() - 1)]);
    }

    // And for what stands there.
    void prefetch_table(std::uint32_t n, std::span<const Range> ranges) const noexcept {
        const Entry* entry =
            slots_[hash(n, ranges) & (slots_.size() - 1)].load(std::memory_order_acquire);
        if (entry == nullptr) return;
        infgram::prefetch(entry);
        infgram::prefetch(&entry->table);
    }

    // The table of the rows that share n tokens, or nullptr.
    [[nodiscard]] const ContinuationTable* find(std::uint32_t n,
                                                std::span<const Range> ranges) const noexcept {
        std::size_t at = hash(n, ranges);
        for (std::size_t i = 0; i < probes; ++i, ++at) {
            const Entry* entry = slots_[at & (slots_.size() - 1)].load(std::memory_order_acquire);
            if (entry == nullptr) return nullptr;
            if (entry->is_of(n, ranges)) return &entry->table;
        }
        return nullptr;
    }

    // Keeps a copy if there is room for it.
    void insert(std::uint32_t n, std::span<const Range> ranges, const ContinuationTable& table) {
        const std::size_t bytes = sizeof(Entry) + ranges.size_bytes() +
                                  table.tokens.size() * sizeof(Continuation) +
                                  table.heaviest.size() * sizeof(std::uint32_t) + overhead_bytes;
        // What takes longer to count has more room: there is less of it. Wide ones are not booked.
        const std::size_t room = table.m < 64          ? max_bytes_ / 4
                                 : table.m < 512       ? max_bytes_ / 2
                                 : table.m < wide_rows ? max_bytes_
                                                       : ~std::size_t{0};
        Booking booking(n_bytes_, table.m < wide_rows ? bytes : 0);
        if (booking.total() > room) return;
        auto entry = std::make_unique<Entry>(
            Entry{n, ranges[0], std::vector<Range>(ranges.begin() + 1, ranges.end()), table});
        entry->table.tokens.shrink_to_fit();
        std::size_t at = hash(n, ranges);
        for (std::size_t i = 0; i < probes; ++i, ++at) {
            auto& slot = slots_[at & (slots_.size() - 1)];
            const Entry* found = nullptr;
            if (slot.compare_exchange_strong(found, entry.get(), std::memory_order_acq_rel)) {
                [[maybe_unused]] const Entry* kept = entry.release();
                booking.keep();
                return;
            }
            if (found->is_of(n, ranges)) return;
        }
    }

    // Bytes of the tables that are kept, but for wide ones.
    [[nodiscard]] std::size_t n_bytes() const noexcept {
        return n_bytes_.load(std::memory_order_relaxed);
    }

private:
    static constexpr std::size_t probes = 32;
    static constexpr std::size_t overhead_bytes = 64;  // of three allocations

    struct Entry {
        std::uint32_t n;
        Range first;                // of the first shard, which is mostly the only one
        std::vector<Range> others;  // one a shard
        ContinuationTable table;

        [[nodiscard]] bool is_of(std::uint32_t of_n, std::span<const Range> ranges) const noexcept {
            return n == of_n && first == ranges[0] && std::ranges::equal(others, ranges.subspan(1));
        }
    };

    // Bytes that are taken until it turns out whether the table is kept.
    class Booking {
    public:
        Booking(std::atomic<std::size_t>& n_bytes, std::size_t bytes) noexcept
            : n_bytes_(n_bytes),
              bytes_(bytes),
              total_(n_bytes.fetch_add(bytes, std::memory_order_relaxed) + bytes) {}
        Booking(const Booking&) = delete;
        Booking& operator=(const Booking&) = delete;
        ~Booking() { n_bytes_.fetch_sub(bytes_, std::memory_order_relaxed); }

        [[nodiscard]] std::size_t total() const noexcept { return total_; }
        void keep() noexcept { bytes_ = 0; }

    private:
        std::atomic<std::size_t>& n_bytes_;
        std::size_t bytes_;
        std::size_t total_;
    };

    static std::size_t hash(std::uint32_t n, std::span<const Range> ranges) noexcept {
        std::uint64_t h = n;
        for (const Range range : ranges) {
            h ^= std::uint64_t{range.begin} << 32 | range.end;
            h *= 0x9e3779b97f4a7c15ULL;
            h ^= h >> 29;
        }
        return static_cast<std::size_t>(h);
    }

    std::size_t max_bytes_;
    std::atomic<std::size_t> n_bytes_ = 0;
    std::vector<std::atomic<const Entry*>> slots_;
};

}  // namespace infgram
