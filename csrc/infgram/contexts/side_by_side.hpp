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
#include <vector>

#ifdef __STDCPP_THREADS__  // not in a browser
#include <future>
#include <system_error>
#endif

namespace infgram {

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

// The sum of visit(s) for s from `first` to n, each in a thread, or nearly. Throws what one of them
// threw, when all have ended.
template <class Visit>
auto total_in_threads(std::size_t first, std::size_t n, const Visit& visit) {
    using Total = decltype(visit(first));
    constexpr std::size_t most_threads = 64;  // they wait, however few processors there are
    std::atomic<std::size_t> next = first;
    const auto work = [&] {
        Total total{};
        for (std::size_t s; (s = next++) < n;) total += visit(s);
        return total;
    };
    std::vector<std::future<Total>> threads;
    while (threads.size() + 1 < std::min(n - first, most_threads))
        threads.push_back(in_background(work));
    Total total = work();
    for (auto& thread : threads) total += thread.get();
    return total;
}
#endif

// The sum of visit(s) for each s below n: in threads if the first ones, or later ones, made it
// wait.
template <class Visit>
auto total_side_by_side(std::size_t n, const Visit& visit) {
    decltype(visit(n)) total{};
    std::size_t s = 0;
#ifdef __STDCPP_THREADS__
    constexpr std::size_t few = 8;  // are not worth a look at the clock
    using Clock = std::chrono::steady_clock;
    if (n >= few) {
        auto before = Clock::now();
        for (std::size_t look = 2; look < n; look *= 4) {  // seldom: a look takes 20 ns and more
            const auto patience = at_once * static_cast<int>(look - s);
            while (s < look) total += visit(s++);
            const auto now = Clock::now();
            if (now - before > patience) return total += total_in_threads(s, n, visit);
            before = now;
        }
    }
#endif
    for (; s < n; ++s) total += visit(s);
    return total;
}

// Calls visit(s) for each s below n in the same way.
template <class Visit>
void side_by_side(std::size_t n, const Visit& visit) {
    total_side_by_side(n, [&](std::size_t s) {
        visit(s);
        return 0;
    });
}

}  // namespace infgram
