// The mixture's parts, held against naive ones: what follows named contexts, with parts of the text
// left out; the tree of questions; laws that are told no further than they must be.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "infgram/models/mix/clustering.hpp"
#include "infgram/models/mix/counting.hpp"
#include "infgram/models/mix/fit.hpp"
#include "infgram/models/mix/frontier.hpp"
#include "infgram/models/mix/live_counts.hpp"
#include "infgram/rows/numbers.hpp"
#include "owned.hpp"

using namespace infgram;
using namespace infgram::mix;
using namespace infgram::testing;

namespace {

constexpr std::uint32_t n_codes = 9;
const std::vector<std::uint32_t> symbols{0, '\n', ' ', ',', '.', 'A', 'a', 'b', 'c'};

constexpr Kind full{.adapts = true, .is_full = true};

using Told = Evidence<Kind{}>;
using Counts = std::map<std::uint32_t, std::uint32_t>;  // by code

template <class ForEach>
Counts counts_of(ForEach&& for_each) {
    Counts counts;
    for_each([&](Follower follower) { counts[follower.code] = follower.count; });
    return counts;
}

Counts find(const NamedCounts& table, std::uint64_t key) {
    return counts_of(
        [&](auto&& visit) { table.for_each(table.open(table.bucket(key)), key, visit); });
}

// The text before each position, and a key of each context there.
std::vector<Keys<full>> keys_of_all(const std::vector<std::uint8_t>& codes,
                                    const WordClasses& classes) {
    std::vector<Keys<full>> keys(1);
    Text text;
    for (std::size_t p = 1; p < codes.size(); ++p) {
        text.read_code(codes[p - 1], symbols, classes);
        keys.push_back(keys_of<full>(text));
    }
    return keys;
}

// What followed each context of a kind in some pieces, but for positions from begin to end.
std::map<std::uint64_t, Counts> counted_slowly(const std::vector<std::uint8_t>& codes,
                                               const std::vector<Keys<full>>& keys,
                                               const std::vector<Stretch>& pieces, std::size_t kind,
                                               std::size_t begin, std::size_t end) {
    std::map<std::uint64_t, Counts> counts;
    for (const Stretch& piece : pieces)
        for (Position p = piece.begin; p < piece.end; ++p) {
            Counts& of = counts[keys[p][n_orders<full> + kind]];
            if (p < begin || p >= end) ++of[codes[p]];
        }
    return counts;
}

void test_counts_leave_parts_out_and_take_them_back() {
    for (const Position n : {2u, 60u, 700u}) {
        const auto codes = random_text<std::uint8_t>(n, n_codes);
        std::vector<std::uint32_t> read;
        for (const std::uint8_t code : codes) read.push_back(symbols[code]);
        const WordClasses classes = cluster_words(read, true);
        const auto keys = keys_of_all(codes, classes);
        std::vector<std::vector<Stretch>> several{{{1, n}}};
        if (n > 2) several.push_back({{1, n / 5}, {n / 3, n / 2 + 3}, {n - 9, n}});
        for (const auto& pieces : several) {
            std::vector<Text> before;
            for (const Stretch& piece : pieces) {
                Text text;
                for (Position p = 0; p < piece.begin; ++p)
                    text.read_code(codes[p], symbols, classes);
                before.push_back(text);
            }
            CountedText<full> counted(std::span<const std::uint8_t>(codes), pieces, before, symbols,
                                      classes);
            const NamedCounts table = counted.table(n_codes);
            const Position begin = 1 + n / 4;
            const Position end = n - n / 4;
            std::size_t n_others = 0;  // contexts that are taken for others
            for (const bool left_out : {true, false}) {
                counted.leave_out(1, n / 2);  // whatever was left out before
                if (left_out)
                    counted.leave_out(begin, end);
                else
                    counted.leave_out(0, 0);
                for (std::size_t kind = 0; kind < n_named<full>; ++kind) {
                    auto slowly = counted_slowly(codes, keys, pieces, kind, left_out ? begin : 0,
                                                 left_out ? end : 0);
                    for (const Stretch& piece : pieces)
                        for (Position p = piece.begin; p < piece.end; ++p) {
                            const std::uint64_t key = keys[p][n_orders<full> + kind];
                            const std::size_t place = counted.place_of(p);
                            CHECK(counts_of([&](auto&& visit) {
                                      counted.for_each(kind, place, visit);
                                  }) == slowly[key]);
                            if (!left_out) n_others += find(table, key) == slowly[key] ? 0 : 1;
                        }
                }
            }
            CHECK(n_others <= n * n_named<full> / 500);
            std::size_t n_found = 0;  // of contexts that never were
            for (std::uint64_t i = 0; i < 10'000; ++i)
                n_found += find(table, combine(rng(), i)).empty() ? 0 : 1;
            CHECK(n_found < 50);
        }
    }
}

void test_pieces_lie_evenly_and_blocks_in_them() {
    const MixFitParameters how{.block_tokens = 30,
                               .guard = 0,
                               .n_sweeps = 3,
                               .most_tokens = 1000,
                               .piece_tokens = 100,
                               .most_learnt = 500};
    CHECK(pieces_of(1000, how).size() == 1);
    const auto pieces = pieces_of(5001, how);
    CHECK(pieces.size() == 10);
    for (std::size_t i = 0; i < pieces.size(); ++i)
        CHECK(pieces[i].begin == 1 + 500 * i && pieces[i].end == pieces[i].begin + 100);
    CHECK(pieces_of(1001, how).back().end == 1001);
    const auto blocks = blocks_of(pieces, how);
    Position n_learnt = 0;
    for (const Stretch& block : blocks) {
        n_learnt += block.end - block.begin;
        CHECK(std::ranges::any_of(pieces, [&](const Stretch& piece) {
            return piece.begin <= block.begin && block.end <= piece.end;
        }));
    }
    CHECK(n_learnt > 300 && n_learnt <= 500);
}

using Bytes = std::vector<std::uint8_t>;

NamedCounts table_of(const std::vector<std::uint32_t>& offsets, const Bytes& bytes) {
    return {offsets, bytes, nullptr, n_codes};
}

void test_large_counts_are_kept_exactly() {
    Bytes bytes{4, 0, 0};  // the context whose hash ends in 2
    for (const std::uint32_t code : {1u, 2u, 3u}) {
        bytes.push_back(static_cast<std::uint8_t>(code));
        write_number(code == 1 ? 127 : code == 2 ? 128 : (1u << 28) - 1, bytes);
    }
    bytes[2] = static_cast<std::uint8_t>(bytes.size() - 3);
    const std::vector<std::uint32_t> offsets{0, static_cast<std::uint32_t>(bytes.size())};
    CHECK((find(table_of(offsets, bytes), 2) == Counts{{1, 127}, {2, 128}, {3, (1u << 28) - 1}}));
    CHECK(find(table_of(offsets, bytes), 3).empty());
}

void test_a_table_that_would_be_left_is_refused() {
    const auto refused = [](const std::vector<std::uint32_t>& offsets, const Bytes& bytes) {
        return throws<CorruptIndex>([&] { (void)find(table_of(offsets, bytes), 2); });
    };
    CHECK(!refused({0, 3}, {5, 0, 1}));
    CHECK(!refused({0, 5}, {4, 0, 2, 1, 9}));
    CHECK(refused({}, {}));
    CHECK(refused({0}, {}));
    CHECK(refused({3, 0}, {5, 0, 1}));                         // ends before it begins
    CHECK(refused({0, 4}, {5, 0, 1}));                         // behind the bytes
    CHECK(refused({0, 1}, {5}));                               // half a hash
    CHECK(refused({0, 2}, {5, 0}));                            // no code
    CHECK(refused({0, 4}, {7, 0, 1, 5}));                      // half a context more
    CHECK(refused({0, 3}, {5, 0, n_codes}));                   // no such code
    CHECK(refused({0, 3}, {4, 0, 0}));                         // nothing follows
    CHECK(refused({0, 5}, {4, 0, 3, 1, 9}));                   // less than it says
    CHECK(refused({0, 4}, {4, 0, 1, 1}));                      // no count
    CHECK(refused({0, 5}, {4, 0, 2, 1, 0}));                   // a count of nothing
    CHECK(refused({0, 5}, {4, 0, 2, 1, 128}));                 // a count without an end
    CHECK(refused({0, 7}, {4, 0, 4, 2, 1, 1, 1}));             // codes that fall
    CHECK(refused({0, 8}, {4, 0, 5, 1, 255, 255, 255, 255}));  // a count too large
    CHECK(refused({0, 6}, {4, 0, 255, 255, 255, 127}));        // too many followers
    CHECK(throws<CorruptIndex>([] {
        (void)WordClasses(std::vector<std::uint64_t>{2, 1}, std::vector<std::uint8_t>{0, 0}, {},
                          false);
    }));
    CHECK(throws<CorruptIndex>([] {
        (void)WordClasses(std::vector<std::uint64_t>{1}, std::vector<std::uint8_t>{64}, {}, false);
    }));
}

void test_live_counts_forget_the_older_half() {
    constexpr std::size_t most = 50;
    LiveCounts<full> live(most);
    std::vector<std::pair<Keys<full>, std::uint32_t>> read;
    for (int i = 0; i < 400; ++i) {
        Keys<full> keys;
        for (std::uint64_t& key : keys) key = combine(below(8), 0);
        const std::uint32_t code = below(n_codes);
        live.read(keys, code);
        if (read.size() == most) read.erase(read.begin(), read.end() - most / 2);
        read.push_back({keys, code});
        live.look(keys);
        for (std::size_t k = 0; k < n_counted<full>; ++k) {
            Counts expected;
            std::vector<std::uint32_t> all;
            for (const auto& [at, came] : read)
                for (const std::uint64_t key : at)
                    if (key == keys[k]) {
                        ++expected[came];
                        all.push_back(came);
                    }
            Counts found;
            std::uint32_t least = 0;
            for (const Follower& follower : live.followers(k)) {
                CHECK(follower.code >= least);
                least = follower.code + 1;
                found[follower.code] = follower.count;
            }
            CHECK(found == expected);
            for (std::size_t r = 0; r < n_rings<full>; ++r) {
                if (ring_contexts<full>[r] != k) continue;
                const Ring ring = live.recent().rings[r];
                CHECK(ring.size() == std::min<std::size_t>(all.size(), Ring::most));
                for (std::uint32_t n = 0; n < ring.size(); ++n)
                    CHECK(ring[n] == all[all.size() - 1 - n]);
                CHECK(live.recent().n_types[r] == expected.size());
            }
        }
    }
    Ring ring;
    CHECK(ring.run() == 0);
    for (const std::uint32_t code : {255u, 3u, 3u, 3u}) ring.push(code);
    CHECK(ring.run() == 3 && ring[3] == 255);
}

void test_every_code_has_a_path() {
    for (const std::uint32_t first : {0u, 1u}) {
        const std::span<const std::uint32_t> ids = std::span(symbols).subspan(1);
        const Questions questions(Alphabet(ids, 256), first);
        CHECK(questions.size() + 1 == n_codes - first);
        for (std::uint32_t code = first; code < n_codes; ++code) {
            std::int32_t at = questions.root();
            std::uint32_t begin = first;
            std::uint32_t end = n_codes;
            while (at >= 0) {
                const Question question = questions[at];
                CHECK(question.begin == begin && question.end == end);
                CHECK(begin < question.middle && question.middle < end);
                (code >= question.middle ? begin : end) = question.middle;
                at = code >= question.middle ? question.yes : question.no;
            }
            CHECK(at == ~static_cast<std::int32_t>(code));
        }
    }
}

void test_words_of_one_use_share_a_class() {
    std::vector<std::uint32_t> words;
    for (std::uint32_t i = 0; i < 4000; ++i) {  // one of 0 to 99, then one of 100 to 199
        words.push_back(below(100));
        words.push_back(100 + below(100));
    }
    const auto classes = cluster(words, 200, 10);
    std::set<std::uint8_t> first(classes.begin(), classes.begin() + 100);
    std::set<std::uint8_t> second(classes.begin() + 100, classes.end());
    for (const std::uint8_t shared : first) CHECK(!second.contains(shared));
    CHECK(classes == cluster(words, 200, 10));
    CHECK(cluster(words, 200, 10'000)[0] == WordClasses::none);
}

// A law of random answers, its codes' weights, and how many questions were asked of it.
struct RandomLaw {
    Questions questions{Alphabet(std::span(symbols).subspan(1), 256), 0};
    std::vector<double> yes;
    std::vector<double> weights = std::vector<double>(n_codes);
    std::size_t n_asked = 0;

    RandomLaw() {
        for (std::uint32_t i = 0; i < questions.size(); ++i)
            yes.push_back((1.0 + below(999)) / 1000.0);
        for (std::uint32_t code = 0; code < n_codes; ++code) {
            weights[code] = 1.0;
            for (std::int32_t at = questions.root(); at >= 0;) {
                const bool right = code >= questions[at].middle;
                const double p = yes[static_cast<std::size_t>(at)];
                weights[code] *= right ? p : 1.0 - p;
                at = right ? questions[at].yes : questions[at].no;
            }
        }
    }
    auto asker() {
        return [this](std::int32_t at, const Told::Place& place, Told::Middles& middles) {
            ++n_asked;
            middles = place.begin;
            return yes[static_cast<std::size_t>(at)];
        };
    }
};

void test_a_law_is_told_as_far_as_it_matters() {
    std::size_t n_asked = 0;
    std::size_t n_all = 0;
    for (int i = 0; i < 2000; ++i) {
        RandomLaw law;
        Frontier<Told> frontier(law.questions);
        for (const double power : {1.25, 0.7, 4.0}) {
            double total = 0.0;
            for (const double weight : law.weights) total += std::pow(weight, power);
            const double uniform = below(1u << 20) / static_cast<double>(1u << 20);
            double reached = 0.0;
            std::uint32_t expected = 0;
            while ((reached += std::pow(law.weights[expected], power)) <= uniform * total)
                ++expected;
            frontier.begin({});
            CHECK(frontier.draw(power, uniform, law.asker()) == expected);
            n_all += law.questions.size();
        }
        n_asked += law.n_asked;
        for (const std::size_t k : {1u, 3u, 20u}) {
            Weights told;
            told.of.assign(n_codes, 0.0);
            frontier.begin({});
            frontier.weigh_heaviest(k, told, law.asker());
            auto all = law.weights;
            auto some = told.of;
            std::ranges::sort(all, std::greater{});
            std::ranges::sort(some, std::greater{});
            for (std::size_t j = 0; j < std::min<std::size_t>(k, n_codes); ++j)
                CHECK(std::abs(all[j] - some[j]) < 1e-15);
        }
    }
    CHECK(n_asked < n_all * 9 / 10);  // some never are
}

}  // namespace

int main() {
    test_counts_leave_parts_out_and_take_them_back();
    test_pieces_lie_evenly_and_blocks_in_them();
    test_large_counts_are_kept_exactly();
    test_a_table_that_would_be_left_is_refused();
    test_live_counts_forget_the_older_half();
    test_every_code_has_a_path();
    test_words_of_one_use_share_a_class();
    test_a_law_is_told_as_far_as_it_matters();
    std::puts("1 passed, 0 failed");
}
