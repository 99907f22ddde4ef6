// n-grams listed and repeats found, against loops over the text; and on columns that lie.
#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "infgram/tracing/ngrams.hpp"
#include "infgram/tracing/repeats.hpp"
#include "owned.hpp"

using namespace infgram;
using namespace infgram::testing;

namespace {

using Gram = std::vector<std::uint32_t>;

template <class Code>
std::vector<Code> random_documents(std::size_t n, std::uint32_t n_codes) {
    std::vector<Code> text(n);
    for (auto& code : text) code = static_cast<Code>(below(12) == 0 ? 0 : 1 + below(n_codes - 1));
    text[0] = 0;
    return text;
}

template <class Code>
std::vector<std::uint32_t> boundaries_of(const std::vector<Code>& text) {
    std::vector<std::uint32_t> found;
    for (std::uint32_t p = 0; p < text.size(); ++p)
        if (text[p] == boundary) found.push_back(p);
    return found;
}

// Those that cross no boundary, by where they begin.
template <class Code>
std::vector<std::pair<std::size_t, Gram>> grams_of(const std::vector<Code>& text, std::size_t n) {
    std::vector<std::pair<std::size_t, Gram>> found;
    for (std::size_t p = 0; p + n <= text.size(); ++p) {
        const Gram gram(text.begin() + static_cast<std::ptrdiff_t>(p),
                        text.begin() + static_cast<std::ptrdiff_t>(p + n));
        if (std::ranges::find(gram, std::uint32_t{boundary}) == gram.end())
            found.emplace_back(p, gram);
    }
    return found;
}

// Two shards of one alphabet, whose token ids are the codes.
template <class Code>
struct Corpus {
    Corpus(std::vector<Code> one, std::vector<Code> other, std::uint32_t n_codes)
        : texts{std::move(one), std::move(other)},
          token_ids(n_codes - 1),
          first(texts[0], n_codes),
          second(texts[1], n_codes) {
        for (std::uint32_t c = 1; c < n_codes; ++c) token_ids[c - 1] = c;
        for (const auto& text : texts) documents.push_back(boundaries_of(text));
    }
    [[nodiscard]] Owner<Code> open() const {
        std::vector<Shard<Code>> shards;
        shards.emplace_back(first.columns());
        shards.emplace_back(second.columns());
        const auto end = static_cast<std::uint32_t>(token_ids.size() + 1);
        return std::make_shared<const OpenIndex<Code>>(
            Index<Code>(Alphabet(token_ids, end), std::move(shards)), nullptr);
    }
    [[nodiscard]] std::vector<Boundaries> boundaries() const {
        return {documents.begin(), documents.end()};
    }

    std::vector<std::vector<Code>> texts;
    std::vector<std::uint32_t> token_ids;
    Owned<Code> first;
    Owned<Code> second;
    std::vector<std::vector<std::uint32_t>> documents;
};

template <class Code>
Corpus<Code> random_corpus() {
    const std::uint32_t n_codes = 2 + below(4);
    return {random_documents<Code>(1 + below(200), n_codes),
            random_documents<Code>(1 + below(200), n_codes), n_codes};
}

template <class Code>
void test_ngrams() {
    const Corpus<Code> corpus = random_corpus<Code>();
    const std::uint32_t n = 1 + below(7);
    const std::uint64_t least = 1 + below(3);
    std::map<Gram, std::uint64_t> counts;
    std::map<Gram, std::set<std::pair<std::size_t, std::size_t>>> in;
    for (std::size_t s = 0; s < 2; ++s)
        for (const auto& [p, gram] : grams_of(corpus.texts[s], n)) {
            ++counts[gram];
            const auto behind = std::ranges::upper_bound(corpus.documents[s], p);
            in[gram].emplace(s, behind - corpus.documents[s].begin());
        }
    std::erase_if(counts, [&](const auto& each) { return each.second < least; });

    NgramReaderOf<Code> walk(corpus.open(), n, least, corpus.boundaries());
    auto expected = counts.begin();
    while (true) {
        const Ngrams found = walk.read(1 + below(5));
        if (found.counts.empty()) break;
        for (std::size_t i = 0; i < found.counts.size(); ++i, ++expected) {
            CHECK(expected != counts.end());
            CHECK(
                std::ranges::equal(std::span(found.token_ids).subspan(i * n, n), expected->first));
            CHECK(std::cmp_equal(found.counts[i], expected->second));
            CHECK(std::cmp_equal(found.documents[i], in[expected->first].size()));
        }
    }
    CHECK(expected == counts.end());

    std::vector<std::pair<Gram, std::uint64_t>> by_count(counts.begin(), counts.end());
    std::ranges::stable_sort(by_count,
                             [](const auto& a, const auto& b) { return a.second > b.second; });
    const std::size_t most = below(static_cast<std::uint32_t>(by_count.size()) + 2);
    const Ngrams found = NgramReaderOf<Code>(corpus.open(), n, least, {}).most_frequent(most);
    CHECK(found.counts.size() == std::min(most, by_count.size()) && found.documents.empty());
    for (std::size_t i = 0; i < found.counts.size(); ++i) {
        CHECK(std::cmp_equal(found.counts[i], by_count[i].second));
        CHECK(std::ranges::equal(std::span(found.token_ids).subspan(i * n, n), by_count[i].first));
    }
}

template <class Code>
void test_repeats() {
    const Corpus<Code> corpus = random_corpus<Code>();
    const std::uint32_t length = 1 + below(9);
    std::set<Gram> seen;
    for (std::size_t s = 0; s < 2; ++s) {
        std::vector<bool> is_in(corpus.texts[s].size(), false);
        for (const auto& [p, gram] : grams_of(corpus.texts[s], length))
            if (!seen.insert(gram).second)
                std::fill_n(is_in.begin() + static_cast<std::ptrdiff_t>(p), length, true);
        std::vector<bool> found(is_in.size(), false);
        Position last = 0;
        for (const auto& [begin, end] : repeats(corpus.open()->index, s, length)) {
            CHECK(begin < end && (last == 0 || last < begin));
            std::fill(found.begin() + begin, found.begin() + end, true);
            last = end;
        }
        CHECK(found == is_in);
    }
}

// Nothing is read outside of columns that hold anything: with a sanitizer, that is seen.
template <class Code>
void test_columns_that_lie() {
    for (int i = 0; i < 200; ++i) {
        Corpus<Code> corpus = random_corpus<Code>();
        for (int changes = 0; changes < 5; ++changes) {
            auto& of = below(2) == 0 ? corpus.first : corpus.second;
            const auto at = below(static_cast<std::uint32_t>(of.sa.size()));
            switch (below(4)) {
                case 0:
                    of.sa[at] = below(1u << 31);
                    break;
                case 1:
                    of.same[at] = static_cast<std::uint8_t>(below(256));
                    break;
                case 2:
                    of.next[at] = static_cast<Code>(below(256));
                    break;
                default:
                    of.codes[at] = static_cast<Code>(below(256));
            }
        }
        corpus.documents[0][below(static_cast<std::uint32_t>(corpus.documents[0].size()))] = 7;
        try {
            const auto owner = corpus.open();
            for (const std::uint32_t length : {1u, 5u, 255u, 300u})
                for (std::size_t s = 0; s < 2; ++s) (void)repeats(owner->index, s, length);
            (void)NgramReaderOf<Code>(owner, 3, 1, corpus.boundaries()).read(1000);
            (void)NgramReaderOf<Code>(owner, 3, 1, corpus.boundaries()).most_frequent(10);
        } catch (const CorruptIndex&) {
        }
    }
}

}  // namespace

int main() {
    for (int i = 0; i < 100; ++i) {
        test_ngrams<std::uint8_t>();
        test_ngrams<std::uint16_t>();
        test_ngrams<std::uint32_t>();
        test_repeats<std::uint8_t>();
        test_repeats<std::uint16_t>();
        test_repeats<std::uint32_t>();
    }
    test_columns_that_lie<std::uint8_t>();
    test_columns_that_lie<std::uint16_t>();
    test_columns_that_lie<std::uint32_t>();
    std::puts("1 passed, 0 failed");
}
