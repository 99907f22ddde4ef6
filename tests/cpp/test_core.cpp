// The core without Python: every structure against a loop that cannot be wrong.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "infgram/contexts/continuation.hpp"
#include "infgram/contexts/first_levels.hpp"
#include "infgram/contexts/index.hpp"
#include "infgram/contexts/live.hpp"
#include "infgram/contexts/neighbours.hpp"
#include "infgram/contexts/side_by_side.hpp"
#include "infgram/contexts/spans.hpp"
#include "infgram/models/tables.hpp"
#include "infgram/models/wide_tables.hpp"
#include "infgram/rows/columns.hpp"
#include "infgram/rows/line_ends.hpp"
#include "owned.hpp"

#ifdef __STDCPP_THREADS__
#include <thread>
#endif

using namespace infgram;
using namespace infgram::testing;

namespace {

void test_count_equal() {
    std::vector<std::uint8_t> bytes(1024 + padding_bytes);
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(below(3) * 127);
    for (std::uint32_t n = 0; n <= 512; ++n)
        for (std::uint32_t start : {0u, 1u, 7u, 16u, 511u})
            for (const std::uint8_t byte : std::array<std::uint8_t, 4>{0, 127, 254, 3})
                CHECK(std::cmp_equal(count_equal(&bytes[start], n, 512, byte),
                                     std::count(&bytes[start], &bytes[start] + n, byte)));
    std::ranges::fill(bytes, std::uint8_t{255});
    CHECK(match64(bytes.data(), 255) == low_bits(64) && match64(bytes.data(), 254) == 0);
    CHECK(count_equal(bytes.data(), 1000, 1024, 255) == 1000);
    for (const std::uint8_t least : std::array<std::uint8_t, 6>{0, 1, 127, 128, 254, 255}) {
        for (auto& byte : bytes) byte = static_cast<std::uint8_t>(below(256));
        const std::uint64_t found = below64(bytes.data(), least);
        for (std::size_t i = 0; i < 64; ++i) CHECK((found >> i & 1) == (bytes[i] < least ? 1 : 0));
        CHECK(found == detail::below64_by_bytes(bytes.data(), least));
        for (std::size_t i = 0; i < 64; ++i)  // whatever the processor has, against plain words
            CHECK(match64(&bytes[i], bytes[2 * i]) ==
                  detail::match64_by_words(&bytes[i], bytes[2 * i]));
    }
    CHECK(low_bits(0) == 0 && low_bits(1) == 1 && low_bits(63) == ~std::uint64_t{0} >> 1);
}

template <class Code>
void test_rank(std::size_t n, std::uint32_t n_codes, std::uint32_t block_rows) {
    const Owned<Code> owned(random_text<Code>(n, n_codes), n_codes, block_rows);
    const Shard<Code> shard(owned.columns());
    std::vector<Row> truth(owned.buckets.begin(), owned.buckets.end() - 1);
    const auto n32 = static_cast<Row>(n);
    for (Row row = 0; row <= n; ++row) {
        for (std::uint32_t code = 1; code < n_codes; ++code) {
            CHECK(shard.rank()(code, row) == truth[code]);
            // Nested ranges around the row, narrowest first; a rank is what it was alone.
            typename Shard<Code>::Rank::Nested nested(shard.rank(), code, {row, row});
            for (Range range{row, row};; range = {range.begin / 2, (range.end + n32 + 1) / 2}) {
                const Range image = nested(range);
                CHECK(image.begin == shard.rank()(code, range.begin));
                CHECK(image.end == shard.rank()(code, range.end));
                if (range == shard.all()) break;
            }
        }
        if (row < n) ++truth[owned.next[row]];
    }
}

template <class Code>
void test_shard(std::size_t n, std::uint32_t n_codes) {
    const auto text = random_text<Code>(n, n_codes);
    const Owned<Code> owned(text, n_codes, 32);
    const Shard<Code> shard(owned.columns());
    CHECK(is_sorted<Code>(owned.codes, owned.sa, owned.next, owned.buckets));
    for (Row row = 0; row < n; ++row) {
        // `same` is what its definition says: the context shared with the nearest earlier row that
        // has the same next token.
        if (row == owned.end_row || owned.next[row] == boundary) continue;
        std::uint32_t expected = 0;
        for (Row earlier = row; earlier-- > 0;) {
            if (owned.next[earlier] != owned.next[row] || earlier == owned.end_row) continue;
            Position a = owned.sa[row];
            Position b = owned.sa[earlier];
            for (expected = 1; a > 0 && b > 0 && text[--a] == text[--b];) ++expected;
            break;
        }
        CHECK(owned.same[row] == std::min(expected, 255u));
    }
    for (int trial = 0; trial < 300; ++trial) {
        const std::size_t length = 1 + below(8);
        std::vector<std::uint32_t> ngram;
        const std::size_t from = below(static_cast<std::uint32_t>(n));
        for (std::size_t i = from; i < std::min(n, from + length); ++i)
            if (text[i] != boundary) ngram.push_back(text[i]);
        if (below(3) == 0) ngram.push_back(1 + below(n_codes - 1));
        if (ngram.empty()) continue;
        std::uint32_t truth = 0;
        for (std::size_t i = 0; i + ngram.size() <= n; ++i)
            truth += std::equal(ngram.begin(), ngram.end(),
                                text.begin() + static_cast<std::ptrdiff_t>(i));
        auto search = shard.begin_count(ngram);
        while (shard.step(search)) {
        }
        CHECK(search.range.size() == truth);
        CHECK(shard.find(ngram).size() == truth);
        Chain searched;
        Chain advanced;
        shard.descend(ngram, searched);
        for (const std::uint32_t code : ngram) advance(shard, advanced, code);
        CHECK(searched.size() == advanced.size());
        for (std::size_t i = 0; i < searched.size(); ++i) {
            CHECK(searched[i].n == advanced[i].n && searched[i].range == advanced[i].range);
            Histogram histogram(n_codes);
            histogram.add(shard, searched[i].range);
            std::uint64_t total = 0;
            for (const std::uint32_t code : histogram.codes()) total += histogram[code];
            CHECK(total == shard.m(searched[i].range));
        }
    }
}

// What an estimator sees of a chain.
template <class Code>
std::vector<Level> first_levels(const Shard<Code>& shard, const Chain& chain, int k) {
    std::vector<Level> levels;
    std::vector<Range> scratch;
    for_each_level(std::span(&shard, 1), std::span(&chain, 1), k, scratch,
                   [&](std::uint32_t n, std::uint64_t, std::span<const Range> ranges) {
                       levels.push_back({n, ranges[0]});
                   });
    return levels;
}

// Chains that hold their first levels look like whole ones to whoever asks for no more, whatever is
// read: text of the corpus, other codes, the end of a document.
template <class Code>
void test_first_levels(std::vector<Code> text, std::uint32_t n_codes) {
    const Owned<Code> owned(std::move(text), n_codes, 32);
    const Shard<Code> shard(owned.columns());
    const Neighbours neighbours(shard);
    const auto n_rows = static_cast<std::uint32_t>(owned.codes.size());
    for (const std::uint32_t window : {1u, 2u, 5u, 200u, 1000u}) {
        for (const int k : {1, 2, 3}) {
            const auto most = static_cast<std::size_t>(k);
            const FirstLevels<Code> by_text(shard, nullptr, most, window);
            const FirstLevels<Code> by_table(shard, &neighbours, most, window);
            Chain whole;
            Chain found;
            Chain looked_up;
            std::uint32_t place = below(n_rows);
            for (int i = 0; i < 400; ++i) {
                if (below(8) == 0) place = below(n_rows);
                std::uint32_t code = owned.codes[place++ % n_rows];
                if (below(16) == 0) code = below(n_codes);
                advance(shard, whole, code);
                trim(whole, window);
                by_text.advance(found, code);
                by_table.advance(looked_up, code);
                const std::vector<Level> truth = first_levels(shard, whole, k);
                for (const Chain* chain : {&found, &looked_up}) {
                    const std::vector<Level> levels = first_levels(shard, *chain, k);
                    CHECK(std::ranges::equal(levels, truth, [](Level a, Level b) {
                        return a.n == b.n && a.range == b.range;
                    }));
                    CHECK(chain->size() <= most + 1);
                }
            }
        }
    }
}

template <class Code>
std::vector<Code> repeated_text(std::size_t n, std::uint32_t period) {
    std::vector<Code> text{static_cast<Code>(boundary)};
    while (text.size() < n)
        text.push_back(
            static_cast<Code>(text.size() == n / 2 ? boundary : 1 + text.size() % period));
    return text;
}

// A table is made when enough was drawn, once.
void test_lazy_neighbours() {
    const Owned<std::uint8_t> owned(random_text<std::uint8_t>(1600, 4), 4);
    const Shard<std::uint8_t> shard(owned.columns());
    const std::span<const Shard<std::uint8_t>> shards(&shard, 1);
    LazyNeighbours lazy;
    CHECK(lazy.after(shards, 99).empty());
    const auto made = lazy.after(shards, 1);
    CHECK(made.size() == 1 && lazy.after(shards, 1).data() == made.data());
}

// In how many different contexts, one token longer, each token follows a context.
template <class Code>
void test_continuations(std::size_t n, std::uint32_t n_codes) {
    const auto text = random_text<Code>(n, n_codes);
    const Owned<Code> owned(text, n_codes, 32);
    const Shard<Code> shard(owned.columns());
    ContinuationCounter counter(n_codes, FixedPower(0.0));
    ContinuationTable table;
    for (int trial = 0; trial < 100; ++trial) {
        const std::size_t length = below(4);
        std::vector<std::uint32_t> context;
        while (context.size() < length) context.push_back(1 + below(n_codes - 1));
        std::vector<std::set<int>> before(n_codes);
        std::uint64_t m = 0;
        for (std::size_t p = std::max<std::size_t>(length, 1); p < n; ++p) {
            if (!std::equal(context.begin(), context.end(),
                            text.begin() + static_cast<std::ptrdiff_t>(p - length)))
                continue;
            before[text[p]].insert(p == length ? -1 : static_cast<int>(text[p - length - 1]));
            ++m;
        }
        const Range range = shard.find(context);
        if (range.empty()) continue;
        counter.add(shard, range, static_cast<std::uint32_t>(length));
        counter.finish(table);
        CHECK(table.m == m);
        for (std::uint32_t code = 0; code < n_codes; ++code) {
            const Continuation* found = table.find(code);
            CHECK((found == nullptr ? 0 : found->contexts) == before[code].size());
            CHECK(found == nullptr || found->count == found->contexts);
        }
    }
}

bool equal(const ContinuationTable& one, const ContinuationTable& other) {
    return one.m == other.m && one.total == other.total && one.types == other.types &&
           std::ranges::equal(one.tokens, other.tokens, [](const auto& a, const auto& b) {
               return a.code == b.code && a.contexts == b.contexts && a.count == b.count &&
                      a.matches == b.matches;
           });
}

// What is counted of all wide contexts at once is what is counted of each, to the last bit.
template <class Code>
void test_wide_tables(const std::vector<Code>& text, std::uint32_t n_codes, double exponent,
                      bool is_deep = false) {
    const FixedPower power(exponent);
    const std::uint32_t least_rows = 2 + below(5);
    const Owned<Code> owned(text, n_codes, 32);
    const Owned<Code> other({boundary}, n_codes, 32);  // has no wide context
    const Shard<Code> shard(owned.columns());
    const auto wide_counter = std::make_shared<WideCounter>(power, least_rows);
    wide_counter->add(Shard<Code>(other.columns()));
    wide_counter->add(shard);
    const WideTables wide(wide_counter->columns(), wide_counter);
    CHECK(wide.n_shards() == 2);
    ContinuationCounter counter(n_codes, power);
    ContinuationTable expected;
    ContinuationTable found;
    for (int trial = 0; trial < 300; ++trial) {
        std::vector<std::uint32_t> context(below(is_deep ? 400 : 8));
        const std::size_t at = below(static_cast<std::uint32_t>(text.size()));
        for (std::size_t i = 0; i < context.size(); ++i) context[i] = text[(at + i) % text.size()];
        std::erase(context, boundary);
        const Range range = shard.find(context);
        if (range.empty()) continue;
        const std::uint32_t n = std::min(static_cast<std::uint32_t>(context.size()), max_context);
        const bool is_kept = wide.add(shard, 1, range, n, power, counter);
        CHECK(!is_kept || range.size() >= least_rows);
        CHECK(is_kept || range.size() < least_rows || is_deep);
        if (!is_kept) continue;
        counter.finish(found);
        counter.add(shard, range, n);
        counter.finish(expected);
        CHECK(equal(found, expected));
    }
}

// Whatever is kept of wide contexts, it is refused or read within its bounds.
void test_damaged_wide_tables() {
    const FixedPower power(0.2);
    const Owned<std::uint8_t> owned(random_text<std::uint8_t>(400, 4), 4);
    const Shard<std::uint8_t> shard(owned.columns());
    WideCounter counted(power, 4);
    counted.add(shard);
    const WideColumns sound = counted.columns();
    int n_told = 0;
    for (int trial = 0; trial < 2000; ++trial) {
        std::vector<std::uint64_t> offsets(sound.offsets.begin(), sound.offsets.end());
        std::vector<std::uint8_t> depths(sound.depths.begin(), sound.depths.end());
        std::vector<std::uint8_t> tokens(sound.tokens.begin(), sound.tokens.end());
        const auto any = [](const auto& of) {
            return below(static_cast<std::uint32_t>(of.size()));
        };
        if (below(3) == 0) offsets[any(offsets)] = below(2) == 0 ? ~std::uint64_t{0} : below(3000);
        if (below(3) == 0) depths[any(depths)] = static_cast<std::uint8_t>(below(256));
        for (int i = 0; i < 20; ++i) tokens[any(tokens)] = static_cast<std::uint8_t>(below(256));
        if (below(3) == 0) tokens.resize(any(tokens));
        const WideTables wide({sound.shards, sound.ranges, depths, offsets, tokens}, nullptr);
        ContinuationCounter counter(4, power);
        for (std::size_t i = 0; i < depths.size(); ++i) {
            const Range range{sound.ranges[2 * i], sound.ranges[2 * i + 1]};
            try {
                CHECK(wide.add(shard, 0, range, sound.depths[i], power, counter));
            } catch (const CorruptIndex&) {
                ++n_told;
            }
        }
    }
    CHECK(n_told > 1000);
    const std::vector<std::uint64_t> many{0, sound.depths.size() + 1};
    CHECK(throws<CorruptIndex>([&] {
        WideTables({many, sound.ranges, sound.depths, sound.offsets, sound.tokens}, nullptr);
    }));
}

// What the present context was followed by, whatever was forgotten.
void test_live_text(std::uint32_t max_tokens) {
    LiveText live(FixedPower(0.35), max_tokens, 1000);
    std::vector<std::uint32_t> kept;
    for (int i = 0; i < 2000; ++i) {
        const std::uint32_t code = below(30) == 0 ? boundary : 1 + below(2);
        if (kept.size() >= max_tokens)
            kept.erase(kept.begin(), kept.end() - static_cast<std::ptrdiff_t>(max_tokens / 2));
        kept.push_back(code);
        live.read(code);
        for (std::size_t level = 0; level < live.levels().size(); ++level) {
            const std::size_t n = live.levels()[level].n;
            std::vector<std::uint32_t> truth(3);
            for (std::size_t p = n; p < kept.size(); ++p)
                truth[kept[p]] +=
                    std::equal(kept.end() - static_cast<std::ptrdiff_t>(n), kept.end(),
                               kept.begin() + static_cast<std::ptrdiff_t>(p - n));
            std::vector<std::uint32_t> found(3);
            live.for_each_token(
                live.levels()[level],
                [&](const Continuation& token, std::uint32_t raw) { found[token.code] += raw; });
            CHECK(found == truth);
            CHECK(live.m(live.levels()[level]) == truth[0] + truth[1] + truth[2]);
        }
    }
}

// The levels that reading a token leads to are those that a walk from the root finds.
void test_live_levels(std::uint32_t max_tokens, std::uint32_t window) {
    for (int trial = 0; trial < 20; ++trial) {
        LiveText live(FixedPower(0.35), max_tokens, window);
        std::vector<LiveLevel> walked;
        const std::uint32_t n_codes = 1 + below(3);
        const std::uint32_t seldom = 2 + below(60);
        for (int i = 0; i < 600; ++i) {
            if (below(seldom) == 0)
                live.separate();
            else
                live.read(below(seldom) == 0 ? boundary : 1 + below(n_codes));
            live.find_levels({}, walked);
            CHECK(std::ranges::equal(live.levels(), walked));
        }
    }
}

// Against comparing every part of a text with the corpus.
template <class Code>
void test_maximal_spans(std::size_t n, std::uint32_t n_codes) {
    const Owned<Code> one(random_text<Code>(n, n_codes), n_codes);
    const Owned<Code> other(random_text<Code>(n / 2 + 2, n_codes), n_codes);
    std::vector<std::uint32_t> ids(n_codes - 1);
    std::iota(ids.begin(), ids.end(), 1);
    std::vector<Shard<Code>> shards;
    for (const auto* owned : {&one, &other}) shards.emplace_back(owned->columns());
    const Index<Code> index(Alphabet(ids, 1000), std::move(shards));
    for (int round = 0; round < 40; ++round) {
        std::vector<std::uint32_t> text(below(30));
        for (auto& token : text) token = 1 + below(n_codes);  // one of them occurs nowhere
        const auto n_tokens = static_cast<std::uint32_t>(text.size());
        std::vector<std::uint32_t> begins(text.size() + 1, n_tokens);
        std::vector<std::uint32_t> earliest(text.size());
        for (std::uint32_t p = n_tokens; p-- > 0;)
            begins[p] = round % 2 == 0 || below(2) == 0 ? p : begins[p + 1];
        for (std::uint32_t i = 0, from = 0; i < n_tokens; ++i) {
            if (round % 4 > 1 && below(6) == 0) from = i;
            earliest[i] = round % 2 == 1 && below(3) == 0 ? n_tokens : from;
        }
        std::vector<std::pair<std::uint32_t, std::uint32_t>> expected;
        for (std::uint32_t end = 1; end <= n_tokens; ++end)
            for (std::uint32_t begin = earliest[end - 1]; begin < end; ++begin) {
                const std::span<const std::uint32_t> part(&text[begin], end - begin);
                if (begins[begin] != begin || index.count(part) == 0) continue;
                if (!expected.empty() && expected.back().first == begin) expected.pop_back();
                expected.emplace_back(begin, end);
                break;
            }
        const Spans found =
            maximal_spans(index, std::span<const std::uint32_t>(text), {begins, earliest});
        CHECK(found.bounds.size() == 2 * expected.size());
        CHECK(found.rows.size() == 4 * expected.size());
        for (std::size_t i = 0; i < expected.size(); ++i) {
            const auto [begin, end] = expected[i];
            CHECK(found.bounds[2 * i] == begin && found.bounds[2 * i + 1] == end);
            const auto rows = index.find(std::span<const std::uint32_t>(&text[begin], end - begin));
            for (std::size_t s = 0; s < 2; ++s) {
                const Range own{found.rows[4 * i + 2 * s], found.rows[4 * i + 2 * s + 1]};
                CHECK(own == rows[s] || (own.empty() && rows[s].empty()));
            }
        }
        if (n_tokens == 0) continue;
        const auto ask = [&](const Places& places) {
            return maximal_spans(index, std::span<const std::uint32_t>(text), places);
        };
        const std::vector<std::uint32_t> far(text.size(), n_tokens + 1);
        const std::vector<std::uint32_t> back(text.size() + 1, 0);
        const std::vector<std::uint32_t> last(text.size(), n_tokens - 1);
        CHECK(throws<InvalidParameter>([&] { ask({earliest, earliest}); }));
        CHECK(throws<InvalidParameter>([&] { ask({begins, far}); }));
        if (n_tokens > 1) CHECK(throws<InvalidParameter>([&] { ask({back, last}); }));
    }
}

#ifdef __STDCPP_THREADS__
void test_shards_that_make_one_wait() {
    const auto pause = std::chrono::milliseconds(4);
    std::vector<int> visits(50);
    std::atomic<int> n_waiting = 0;
    std::atomic<bool> was_side_by_side = false;
    side_by_side(visits.size(), [&](std::size_t s) {
        if (++n_waiting > 1) was_side_by_side = true;
        std::this_thread::sleep_for(pause);
        --n_waiting;
        ++visits[s];
    });
    CHECK(std::ranges::count(visits, 1) == 50);
    CHECK(was_side_by_side);
    CHECK(throws<std::out_of_range>([&] {
        side_by_side(50, [&](std::size_t s) {
            std::this_thread::sleep_for(pause);
            std::ignore = visits.at(s == 30 ? 50 : s);
        });
    }));
}
#endif

// Whoever visits shards side by side finds what is found in one after another.
template <class Code>
void test_many_shards(std::size_t n_shards, std::uint32_t n_codes) {
    std::vector<Owned<Code>> owned;
    for (std::size_t s = 0; s < n_shards; ++s)
        owned.emplace_back(random_text<Code>(2 + below(90), n_codes), n_codes);
    std::vector<std::uint32_t> ids(n_codes - 1);
    std::iota(ids.begin(), ids.end(), 1);
    std::vector<Shard<Code>> shards;
    for (const auto& each : owned) shards.emplace_back(each.columns());
    const Index<Code> index(Alphabet(ids, 1000), shards);
    const auto patience = at_once;
    for (int round = 0; round < 40; ++round) {
        // In threads now and then: to begin one takes an emulator a hundred times as long.
        at_once = round % 20 == 0 ? std::chrono::nanoseconds(-1) : patience;
        std::vector<std::uint32_t> flat(1 + below(30));
        for (auto& token : flat) token = 1 + below(n_codes - 1);
        const std::span<const std::uint32_t> ngram(flat.data(), 1 + below(5) % flat.size());
        std::uint64_t count = 0;
        const auto ranges = index.find(ngram);
        const auto chains = index.chains(ngram);
        for (std::size_t s = 0; s < n_shards; ++s) {
            count += shards[s].find(ngram).size();
            CHECK(ranges[s] == shards[s].find(ngram));
            Chain chain;
            for (const std::uint32_t code : ngram) advance(shards[s], chain, code);
            CHECK(std::ranges::equal(chains[s], chain, [](const Level& a, const Level& b) {
                return a.n == b.n && a.range == b.range;
            }));
        }
        CHECK(index.count(ngram) == count);
        CHECK(index.count_in_many(ngram) == count);
        std::vector<std::int64_t> offsets{0};
        for (std::size_t i = 0; i < flat.size(); ++i)
            offsets.push_back(offsets.back() + (offsets.back() + 2 <= std::ssize(flat) ? 2 : 0));
        std::vector<std::int64_t> counts(flat.size());
        index.count_batch(std::span<const std::uint32_t>(flat), offsets, counts);
        for (std::size_t i = 0; i < counts.size(); ++i)
            CHECK(counts[i] ==
                  static_cast<std::int64_t>(index.count(index.between(
                      std::span<const std::uint32_t>(flat), offsets[i], offsets[i + 1]))));
    }
    at_once = patience;
}

template <class Code>
void test_line_ends(std::uint32_t n_codes, std::vector<std::uint32_t> weights) {
    const std::vector<Code> text = random_text<Code>(1000, n_codes);
    const LineEnds counted(weights);
    for (int round = 0; round < 300; ++round) {
        const std::uint32_t end = below(1001);
        const std::uint32_t begin = below(end + 1);
        LineEnds::Found truth;
        for (std::uint32_t p = begin; p < end; ++p)
            if (weights[text[p]] != 0) {
                truth.n += weights[text[p]];
                truth.last = p;
            }
        const auto found =
            counted.in(std::span<const Code>(text).subspan(begin, end - begin), begin);
        CHECK(found.n == truth.n && found.last == truth.last);
    }
    const std::vector<std::uint32_t> few(1);  // the text has codes that this alphabet has not
    CHECK(throws<CorruptIndex>([&] { (void)LineEnds(few).in(std::span<const Code>(text), 0); }));
}

void test_alphabet() {
    const std::vector<std::uint32_t> small{3, 7, 1000};
    const std::vector<std::uint32_t> large{3, 7, 0xfffffffe};
    for (const auto& ids : {small, large}) {
        const Alphabet alphabet(ids, 0xffffffff);
        CHECK(alphabet.n_codes() == 4);
        for (std::uint32_t code = 1; code < 4; ++code)
            CHECK(alphabet.code(ids[code - 1]) == code && alphabet.token_id(code) == ids[code - 1]);
        for (const std::uint32_t absent : {0u, 4u, 1001u, 0xffffffffu})
            CHECK(alphabet.code(absent) == Alphabet::unknown);
        CHECK(alphabet.token_id(boundary) == 0xffffffff);
        CHECK(throws<CorruptIndex>([&] { (void)alphabet.token_id(4); }));
    }
    const std::vector<std::uint32_t> unsorted{3, 3};
    CHECK(throws<CorruptIndex>([&] { Alphabet(unsorted, 77); }));
    CHECK(throws<CorruptIndex>([&] { Alphabet(small, 1000); }));  // a token beyond the end of text
}

void test_columns_that_contradict_are_refused() {
    const Owned<std::uint8_t> owned(random_text<std::uint8_t>(500, 4), 4);
    const auto with = [&](auto&& change) {
        Columns<std::uint8_t> columns = owned.columns();
        change(columns);
        return throws<CorruptIndex>([&] { Shard<std::uint8_t>{columns}; });
    };
    CHECK(!with([](auto&) {}));
    CHECK(with([](auto& c) { c.codes = c.codes.first(499); }));
    CHECK(with([](auto& c) { c.sa = c.sa.first(499); }));
    CHECK(with([](auto& c) { c.next = c.next.first(500); }));
    CHECK(with([](auto& c) { c.buckets = c.buckets.first(4); }));
    CHECK(with([](auto& c) { c.rank_blocks = c.rank_blocks.first(3); }));
    CHECK(with([](auto& c) { c.rank_supers = {}; }));
    CHECK(with([](auto& c) { c.end_row = 500; }));
    CHECK(with([](auto& c) { c.end_row = (c.end_row + 1) % 500; }));
    const std::vector<Row> nothing_ends{0, 0, 100, 300, 500};
    CHECK(with([&](auto& c) { c.buckets = nothing_ends; }));
    std::vector<std::uint8_t> text = owned.codes;
    text[0] = 1;
    CHECK(with([&](auto& c) { c.codes = text; }));
    auto swapped = owned.sa;
    std::swap(swapped[3], swapped[4]);
    CHECK(!is_sorted<std::uint8_t>(owned.codes, swapped, owned.next, owned.buckets));
}

// Ranks are not checked when a shard is made: it would take as long as to build it. Wherever they
// lead, ranges stay inside each other and inside the shard, or it is an error.
template <class Code>
void test_ranks_that_lie_are_refused_or_harmless() {
    Owned<Code> owned(random_text<Code>(600, 4), 4, 32);
    const auto lie = [] { return std::array{below(700), below(1u << 16), ~0u}[below(3)]; };
    std::size_t refused = 0;
    for (int round = 0; round < 3000; ++round) {
        Owned<Code> lies = owned;
        if constexpr (sizeof(Code) > 1)
            lies.psi[below(600)] = lie();
        else if (below(2) == 0)
            lies.blocks[below(static_cast<std::uint32_t>(lies.blocks.size()))] =
                static_cast<std::uint16_t>(lie());
        else
            lies.supers[below(4)] = lie();
        const Shard<Code> shard(lies.columns());
        const std::array levels{Level{2, {250, 255}}, Level{1, {200, 500}}};
        Chain chain{levels.begin(), levels.end()};
        for (int i = 0; i < 50; ++i) {
            const std::uint32_t code = 1 + below(3);
            try {
                const Range image = shard.extend({200, 500}, code);
                CHECK(image.begin <= image.end && image.end <= 600);
                advance(shard, chain, code);
            } catch (const CorruptIndex&) {
                ++refused;
            }
            for (std::size_t level = 0; level < chain.size(); ++level) {
                CHECK(chain[level].range.begin < chain[level].range.end);
                CHECK(chain[level].range.end <= 600);
                CHECK(level == 0 || is_wider(chain[level], chain[level - 1]));
            }
        }
    }
    CHECK(refused > 100);
}

void test_a_text_outside_the_alphabet_is_refused_where_it_is_read() {
    Owned<std::uint8_t> owned(random_text<std::uint8_t>(500, 4), 4);
    owned.codes[77] = 4;
    const Shard<std::uint8_t> shard(owned.columns());
    CHECK(throws<CorruptIndex>([&] { (void)shard.code_at(77); }));
    CHECK(shard.code_at(78) == owned.codes[78]);
}

void test_a_cache_books_what_it_keeps() {
    TableCache cache(1, 1u << 20);  // 1024 slots
    ContinuationTable table;
    table.m = 100;
    table.tokens.resize(3, {1, 1, 1.0});
    for (Row row = 0; row < 20'000; ++row) {
        const std::array range{Range{row, row + 100}};
        cache.insert(1, range, table);
        cache.insert(1, range, table);  // it is there already
    }
    std::size_t kept = 0;
    for (Row row = 0; row < 20'000; ++row) {
        const std::array range{Range{row, row + 100}};
        kept += cache.find(1, range) != nullptr ? 1 : 0;
    }
    CHECK(kept == 1024);
    CHECK(cache.n_bytes() < kept * 400);
}

void test_the_window_forgets() {
    Chain chain{{9, {4, 5}}, {5, {3, 8}}, {2, {0, 20}}};
    Chain seen = chain;
    trim(seen, 9);
    CHECK(seen.size() == 3 && seen[0].n == 9);
    seen = chain;
    trim(seen, 6);
    CHECK(seen.size() == 3 && seen[0].n == 6);
    seen = chain;
    trim(seen, 5);
    CHECK(seen.size() == 2 && seen[0].n == 5);
    seen = chain;
    trim(seen, 1);
    CHECK(seen.size() == 1 && seen[0].n == 1);
}

}  // namespace

int main() {
    test_count_equal();
    for (const std::uint32_t block_rows : {32u, 64u, 2048u})
        for (const std::size_t n : {1u, 31u, 32u, 64u, 65u, 700u})
            test_rank<std::uint8_t>(n, 5, block_rows);
    test_rank<std::uint8_t>(140'000, 3, 1024);  // several superblocks
    test_rank<std::uint16_t>(700, 5, 0);
    test_rank<std::uint32_t>(700, 5, 0);
    for (int i = 0; i < 20; ++i) {
        test_shard<std::uint8_t>(2 + below(400), 2 + below(4));
        test_shard<std::uint16_t>(2 + below(400), 2 + below(4));
        test_shard<std::uint32_t>(2 + below(400), 2 + below(4));
    }
    for (int i = 0; i < 20; ++i) {
        test_continuations<std::uint8_t>(2 + below(400), 2 + below(4));
        test_continuations<std::uint16_t>(2 + below(400), 2 + below(4));
        test_continuations<std::uint32_t>(2 + below(400), 2 + below(4));
    }
    for (const double exponent : {0.0, 0.2, 1.0}) {
        for (int i = 0; i < 10; ++i) {
            const std::size_t n = 2 + below(900);
            const std::uint32_t codes = 2 + below(4);
            test_wide_tables(random_text<std::uint8_t>(n, codes), codes, exponent);
            test_wide_tables(random_text<std::uint16_t>(n, codes), codes, exponent);
            test_wide_tables(random_text<std::uint32_t>(n, codes), codes, exponent);
        }
        for (const std::uint32_t period : {1u, 2u, 3u})  // more is shared than is told apart
            test_wide_tables(repeated_text<std::uint8_t>(1500, period), 4, exponent, true);
    }
    test_damaged_wide_tables();
    for (int i = 0; i < 10; ++i) {
        const std::size_t n = 1 + below(600);
        const std::uint32_t n_codes = 2 + below(4);
        test_first_levels(random_text<std::uint8_t>(n, n_codes), n_codes);
        test_first_levels(random_text<std::uint16_t>(n, n_codes), n_codes);
        test_first_levels(random_text<std::uint32_t>(n, n_codes), n_codes);
    }
    for (const std::uint32_t period : {1u, 2u, 3u})  // more is shared than a table tells
        test_first_levels(repeated_text<std::uint8_t>(1500, period), 4);
    test_first_levels(random_text<std::uint8_t>(30'000, 3), 3);  // more rows than a table is read
    test_lazy_neighbours();
    for (const std::uint32_t max_tokens : {2u, 7u, 100u, 5000u}) test_live_text(max_tokens);
    for (const std::uint32_t window : {1u, 2u, 5u, 48u, 1000u})
        for (const std::uint32_t max_tokens : {2u, 50u, 5000u})
            test_live_levels(max_tokens, window);
    for (int i = 0; i < 10; ++i) {
        test_maximal_spans<std::uint8_t>(2 + below(60), 2 + below(3));
        test_maximal_spans<std::uint16_t>(2 + below(60), 2 + below(3));
        test_maximal_spans<std::uint32_t>(2 + below(60), 2 + below(3));
    }
#ifdef __STDCPP_THREADS__
    test_shards_that_make_one_wait();
#endif
    for (const std::size_t n_shards : {1u, 7u, 8u, 9u, 50u, 90u}) {
        test_many_shards<std::uint8_t>(n_shards, 4);
        test_many_shards<std::uint16_t>(n_shards, 4);
        test_many_shards<std::uint32_t>(n_shards, 4);
    }
    test_line_ends<std::uint8_t>(3, {0, 1, 0});
    test_line_ends<std::uint8_t>(3, {0, 2, 0});
    test_line_ends<std::uint8_t>(4, {0, 1, 2, 0});
    test_line_ends<std::uint8_t>(3, {0, 0, 0});
    test_line_ends<std::uint16_t>(3, {0, 1, 0});
    test_line_ends<std::uint32_t>(4, {0, 0, 3, 1});
    test_alphabet();
    test_columns_that_contradict_are_refused();
    test_ranks_that_lie_are_refused_or_harmless<std::uint8_t>();
    test_ranks_that_lie_are_refused_or_harmless<std::uint16_t>();
    test_ranks_that_lie_are_refused_or_harmless<std::uint32_t>();
    test_a_text_outside_the_alphabet_is_refused_where_it_is_read();
    test_a_cache_books_what_it_keeps();
    test_the_window_forgets();
    std::puts("1 passed, 0 failed");
}
