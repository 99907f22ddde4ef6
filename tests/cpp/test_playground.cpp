// What is only for the browser: suffixes, numpy's random numbers, a text's columns, and what a page
// asks, each against a loop that cannot be wrong, or numbers that numpy gave.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "owned.hpp"
#include "playground/laws.hpp"
#include "playground/questions.hpp"
#include "playground/random.hpp"
#include "playground/suffixes.hpp"
#include "playground/text.hpp"

using namespace infgram;
using namespace infgram::playground;
using namespace infgram::testing;
using infgram::playground::Code;

namespace {

using Given = std::vector<std::uint8_t>;

Given bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

std::vector<Position> sorted(const Given& text) {
    std::vector<Position> found(text.size());
    sort_suffixes(text, found);
    return found;
}

void check_sorted(const Given& text) {
    std::vector<Position> naive(text.size());
    std::iota(naive.begin(), naive.end(), Position{0});
    std::ranges::sort(naive, [&](Position a, Position b) {
        return std::ranges::lexicographical_compare(std::span(text).subspan(a),
                                                    std::span(text).subspan(b));
    });
    CHECK(sorted(text) == naive);
}

void test_suffixes() {
    check_sorted({});
    check_sorted({7});
    check_sorted({255, 0});
    check_sorted({0, 255});
    check_sorted(bytes_of("mississippi"));
    check_sorted(bytes_of("abracadabra abracadabra"));
    // every text of up to 8 symbols of 3
    for (std::size_t n = 1; n <= 8; ++n) {
        Given text(n, 0);
        do {
            check_sorted(text);
            std::size_t i = 0;
            while (i < n && ++text[i] == 3) text[i++] = 0;
        } while (std::ranges::any_of(text, [](auto symbol) { return symbol != 0; }));
    }
    for (const std::uint32_t n_symbols : {1u, 2u, 3u, 10u, 256u})
        for (int i = 0; i < 40; ++i) {
            Given text(below(600));
            for (auto& symbol : text) symbol = static_cast<std::uint8_t>(below(n_symbols));
            if (i % 4 == 0)  // periods, which leave valleys equal, and again those of their names
                for (std::size_t at = 17; at < text.size(); ++at) text[at] = text[at - 17];
            check_sorted(text);
        }
}

// Of one symbol, the shortest comes first; as it does of one pair. Naive sorting would never end.
void test_long_repetitions() {
    constexpr std::uint32_t n = 300'000;
    const auto same = sorted(Given(n, 'a'));
    for (std::uint32_t r = 0; r < n; ++r) CHECK(same[r] == n - 1 - r);
    Given pairs(n);
    for (std::uint32_t i = 0; i < n; ++i) pairs[i] = i % 2 == 0 ? 'a' : 'b';
    const auto found = sorted(pairs);
    for (std::uint32_t r = 0; r < n / 2; ++r) {
        CHECK(found[r] == n - 2 - 2 * r);
        CHECK(found[n / 2 + r] == n - 1 - 2 * r);
    }
}

// numpy.random.default_rng(seed).random(3), by numpy 2.
void test_random() {
    struct Known {
        std::uint64_t seed;
        std::array<double, 3> numbers;
    };
    for (const auto& [seed, numbers] : {
             Known{0, {0.6369616873214543, 0.2697867137638703, 0.04097352393619469}},
             Known{1, {0.5118216247002567, 0.9504636963259353, 0.14415961271963373}},
             Known{4294967295, {0.2519435680449965, 0.21906579628685663, 0.28728472043517017}},
             Known{4294967296, {0.8897387912781343, 0.5571380502062263, 0.8009080868919721}},
             Known{9007199254740991, {0.7862681066761149, 0.6063032385025929, 0.5376094823800641}},
         }) {
        Random random(seed);
        const Uniform uniform = random.uniform();
        for (const double number : numbers) CHECK(uniform() == number);
    }
}

Given random_bytes(std::size_t n, std::uint32_t n_different) {
    Given bytes(n);
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(250 - below(n_different));
    return bytes;
}

// The index of a text is that of its codes, built the slow way.
void test_text() {
    for (const std::uint32_t n_different : {1u, 2u, 5u, 60u}) {
        const Given bytes = random_bytes(1 + below(700), n_different);
        const Text text(bytes);
        const auto ids = Text::occurring(bytes);
        std::vector<Code> codes{boundary};
        for (const auto byte : bytes)
            codes.push_back(static_cast<Code>(std::ranges::lower_bound(ids, std::uint32_t{byte}) -
                                              ids.begin() + 1));
        const auto n_codes = static_cast<std::uint32_t>(ids.size() + 1);
        const Owned<Code> owned(codes, n_codes);
        const Shard<Code>& shard = text.index().shard(0);
        CHECK(shard.n_rows() == codes.size() && shard.end_row() == owned.end_row);
        for (Row row = 0; row < shard.n_rows(); ++row) {
            CHECK(shard.position(row) == owned.sa[row]);
            CHECK(shard.next()[row] == owned.next[row]);
            CHECK(shard.same()[row] == owned.same[row]);
            for (std::uint32_t code = 1; code < n_codes; ++code)
                CHECK(shard.rank()(code, row) == Shard<Code>(owned.columns()).rank()(code, row));
        }
    }
    CHECK(Text::occurring(random_bytes(2000, 3)).size() == 3);
}

// Places of some bytes in a text, each looked at.
std::vector<std::size_t> places(std::string_view text, std::string_view part) {
    std::vector<std::size_t> found;
    for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1))
        found.push_back(at);
    return found;
}

void check_places(std::string_view text, std::string_view part, std::span<const double> numbers) {
    const auto all = places(text, part);
    CHECK(numbers[0] == static_cast<double>(all.size()));
    CHECK(numbers[1] == static_cast<double>(std::min<std::size_t>(all.size(), most_places)));
    for (std::size_t i = 0; i < static_cast<std::size_t>(numbers[1]); ++i) {
        CHECK(std::ranges::count(all, static_cast<std::size_t>(numbers[2 + i])) == 1);
        if (i > 0) CHECK(numbers[1 + i] < numbers[2 + i]);
    }
}

// Of each byte, how often it follows a part of a text.
std::array<std::uint64_t, 256> following(std::string_view text, std::string_view part) {
    std::array<std::uint64_t, 256> counts{};
    for (const std::size_t at : places(text, part))
        if (at + part.size() < text.size())
            ++counts[static_cast<std::uint8_t>(text[at + part.size()])];
    return counts;
}

void check_levels(std::string_view corpus, std::string_view context) {
    const Numbers numbers = levels_of(Text(bytes_of(corpus)), bytes_of(context));
    std::size_t at = 0;
    std::uint64_t last = 0;
    for (std::size_t n = context.size() + 1; n-- > 0;) {
        auto counts = following(corpus, context.substr(context.size() - n));
        const auto m = std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
        if (m <= last && n != 0) continue;
        last = m;
        const auto n_different = 256 - std::ranges::count(counts, std::uint64_t{0});
        const auto n_told = std::min(n_different, std::ptrdiff_t{most_tokens});
        CHECK(numbers[at] == static_cast<double>(n));
        CHECK(numbers[at + 1] == static_cast<double>(m));
        CHECK(numbers[at + 2] == static_cast<double>(n_told));
        at += 3;
        for (std::ptrdiff_t i = 0; i < n_told; ++i, at += 2) {
            const auto best = std::ranges::max_element(counts);  // of equals the smallest byte
            CHECK(numbers[at] == static_cast<double>(best - counts.begin()));
            CHECK(numbers[at + 1] == static_cast<double>(*best));
            *best = 0;
        }
    }
    CHECK(at == numbers.size());
}

void test_levels() {
    for (const std::string_view corpus :
         {"to be or not to be, that is to say: to bed", "a", "aaaa"})
        for (const std::string_view context : {"", "q", "o", "not to b", "aa", "bed"})
            check_levels(corpus, context);
}

void test_spans_and_places() {
    const std::string corpus = "to be or not to be, that is the question; \xc3\xa9t\xc3\xa9";
    const Text text(bytes_of(corpus));
    for (const std::string part : {"to be", "o", " ", "question", "zz", "\xc3\xa9"})
        check_places(corpus, part, places_of(text, bytes_of(part)));
    const std::string passage = "or not to see \xc3\xaat\xc3\xa9 the quest";
    const Numbers numbers = spans_of(text, bytes_of(passage), 3);
    std::vector<std::string> found;
    for (std::size_t at = 0; at < numbers.size();) {
        const auto begin = static_cast<std::size_t>(numbers[at]);
        const auto end = static_cast<std::size_t>(numbers[at + 1]);
        found.push_back(passage.substr(begin, end - begin));
        check_places(corpus, found.back(), std::span(numbers).subspan(at + 2));
        at += 4 + static_cast<std::size_t>(numbers[at + 3]);
    }
    // "\xaat" would be none: the character before it is another one
    CHECK(found == std::vector<std::string>({"or not to ", "t\xc3\xa9", " the quest"}));
}

// What levels gave sums to the probability, and those of all bytes and of the end to one: the end,
// which never came, is as probable as a byte that never came.
template <class Law>
void check_trace(const Law& law, const Text& text, std::string_view read) {
    const auto trace = [&](std::uint32_t byte) {
        Given written = bytes_of(read);
        written.push_back(static_cast<std::uint8_t>(byte));
        return trace_of(law, text, written);
    };
    double total = trace('q')[0];
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
        const Numbers numbers = trace(byte);
        double sum = 0.0;
        for (std::size_t at = 2; at < numbers.size(); at += 3) sum += numbers[at + 2];
        CHECK(std::abs(sum - numbers[0]) < 1e-12);
        total += numbers[0];
    }
    CHECK(std::abs(total - 1.0) < 1e-12);
}

void test_traces_and_writers() {
    const Text text(bytes_of("to be or not to be"));
    const KneserNeyLaw kneser_ney(text);
    for (const std::string_view read : {"", "t", "not to b", "q"}) {
        check_trace(kneser_ney, text, read);
        for (const int k : {1, 2, 3}) check_trace(SbisLaw{k}, text, read);
    }
    // of a byte that the text never had
    CHECK(trace_of(SbisLaw{2}, text, bytes_of("to q"))[0] == 0.0);
    CHECK(trace_of(kneser_ney, text, bytes_of("to q"))[0] > 0.0);
    const auto written = [&](double temperature, std::uint64_t seed) {
        return WriterOf(text, SbisLaw{1}, bytes_of("not"), temperature, seed).write(6);
    };
    const Given expected = bytes_of(" to be");
    CHECK(std::ranges::equal(written(0.0, 0), expected));
    CHECK(written(1.0, 5) == written(1.0, 5));
    // in parts as at once
    WriterOf parts(text, kneser_ney, bytes_of("to"), 0.8, 3);
    Numbers joined = parts.write(5);
    for (const double byte : parts.write(20)) joined.push_back(byte);
    CHECK(joined == WriterOf(text, kneser_ney, bytes_of("to"), 0.8, 3).write(25));
}

}  // namespace

int main() {
    test_suffixes();
    test_long_repetitions();
    test_random();
    test_text();
    test_levels();
    test_spans_and_places();
    test_traces_and_writers();
    std::puts("playground: ok");
}
