// Work in threads of its own; and shards that are visited side by side where they make one wait.
//
// What is in memory is answered sooner than a thread begins, so shards are visited one after
// another as long as they answer at once. A page that a disk has to bring takes a thousand times as
// long, and many can be asked for at the same time: by as many threads, since each waits for its
// page (docs/design.md has the figures, and those of asking without threads).
//
// Pure: threads may call all of it, but `at_once` is not to be changed while they do.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <vector>

#ifdef __STDCPP_THREADS__  // not in a browser
#include <future>
#include <system_error>
#endif

namespace infgram {

// So many are worth a look at the clock.
inline constexpr std::size_t many_shards = 8;

// How long a shard may take before the others are visited in threads. Tests make it shorter.
inline std::chrono::nanoseconds at_once = std::chrono::microseconds(50);

#ifdef __STDCPP_THREADS__
// Runs in a thread of its own, or where there is none to be had, when its result is asked for.
template <class Work>
auto in_background(Work work) {
    try {
        return std::async(std::launch::async, work);
    } catch (const std::system_error&) {
        return std::async(std::launch::deferred, work);
    }
}

// Calls visit(s) for s from `first` to n, each in a thread, or nearly. Throws what one of them
// threw, when all have ended.
inline void visit_in_threads(std::size_t first, std::size_t n,
                             const std::function<void(std::size_t)>& visit) {
    constexpr std::size_t most_threads = 64;  // they wait, however few processors there are
    std::atomic<std::size_t> next = first;
    const auto work = [&] {
        for (std::size_t s; (s = next++) < n;) visit(s);
    };
    std::vector<std::future<void>> threads;
    while (threads.size() + 1 < std::min(n - first, most_threads))
        threads.push_back(in_background(work));
    work();
    for (auto& thread : threads) thread.get();
}

// Tells whether shards keep whoever visits them one after another waiting.
class Pace {
public:
    explicit Pace(std::size_t n) : look_(n < many_shards ? n : 2) {
        if (n >= many_shards) before_ = Clock::now();
    }

    // Before shard s is visited. The clock is seldom looked at: it takes as long as part of a
    // visit.
    [[nodiscard]] bool is_slow(std::size_t s) {
        if (s != look_) [[likely]]
            return false;
        return look();
    }

private:
    using Clock = std::chrono::steady_clock;

    // Slow twice, or it may have been another process's turn.
    bool look() {
        const auto now = Clock::now();
        const bool was_slow = now - before_ > at_once * static_cast<int>(look_ - last_);
        if (was_slow && is_suspect_) return true;
        is_suspect_ = was_slow;
        before_ = now;
        last_ = look_;
        look_ = was_slow ? look_ + 1 : 4 * look_;
        return false;
    }

    std::size_t look_;
    std::size_t last_ = 0;  // time that it looked
    bool is_suspect_ = false;
    Clock::time_point before_;
};

#endif

// Calls visit(s) for each s below n: in threads if the first ones, or later ones, made it wait.
template <class Visit>
void side_by_side(std::size_t n, const Visit& visit) {
    // Called by its address, or the compiler writes it twice and inlines nothing into it.
    const std::function<void(std::size_t)> called = std::cref(visit);
    std::size_t s = 0;
#ifdef __STDCPP_THREADS__
    Pace pace(n);
    while (s < n && !pace.is_slow(s)) called(s++);
    if (s < n) return visit_in_threads(s, n, called);
#endif
    for (; s < n; ++s) called(s);
}

}  // namespace infgram
