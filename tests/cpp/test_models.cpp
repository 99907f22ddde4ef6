// Indexes of every width behind their handles, and all that estimates, drafts and edits over them.
//
// One text is indexed in codes of 8, 16 and 32 bits: what is asked of the three must be the same,
// and equal what a loop over the text counts.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <set>
#include <span>
#include <string_view>
#include <vector>

#include "infgram/contexts/any.hpp"
#include "infgram/contexts/copying.hpp"
#include "infgram/draft/engine.hpp"
#include "infgram/models/calibration.hpp"
#include "infgram/models/kneser_ney.hpp"
#include "infgram/models/predictor.hpp"
#include "infgram/models/sbis.hpp"
#include "infgram/refine/any.hpp"
#include "owned.hpp"

using namespace infgram;
using namespace infgram::testing;

namespace {

constexpr std::uint32_t n_codes = 5;
constexpr std::uint32_t end_of_text = 1000;
constexpr std::uint32_t vocabulary = end_of_text + 1;
constexpr std::array<std::uint32_t, n_codes - 1> token_ids = {97, 98, 99, 500};

using Ids = std::vector<std::uint32_t>;

double draw(void* state) {
    auto& engine = *static_cast<std::mt19937*>(state);
    return std::uniform_real_distribution<double>(0.0, 1.0)(engine);
}

// Two shards of text, the columns of which an index keeps.
template <class Code>
AnyIndex make_index(const std::vector<std::vector<std::uint8_t>>& texts) {
    const auto owned = std::make_shared<std::vector<Owned<Code>>>();
    for (const auto& text : texts)
        owned->emplace_back(std::vector<Code>(text.begin(), text.end()), n_codes);
    std::vector<Shard<Code>> shards;
    for (const Owned<Code>& shard : *owned) shards.emplace_back(shard.columns());
    return {Index<Code>(Alphabet(token_ids, end_of_text), std::move(shards)), owned};
}

struct Corpus {
    std::vector<std::vector<std::uint8_t>> texts;
    std::vector<AnyIndex> indexes;

    explicit Corpus(std::size_t n) {
        for (int i = 0; i < 2; ++i) {
            texts.push_back(random_text<std::uint8_t>(n / 2 + below(20), n_codes));
            if (i == 0) texts.back().push_back(boundary);  // another shard follows
        }
        indexes.push_back(make_index<std::uint8_t>(texts));
        indexes.push_back(make_index<std::uint16_t>(texts));
        indexes.push_back(make_index<std::uint32_t>(texts));
    }

    [[nodiscard]] std::uint64_t count(const Ids& ngram) const {
        std::uint64_t n = 0;
        for (const auto& text : texts)
            for (std::size_t at = 0; at + ngram.size() <= text.size(); ++at) {
                bool same = true;
                for (std::size_t i = 0; i < ngram.size(); ++i)
                    same &= text[at + i] != boundary && token_ids[text[at + i] - 1u] == ngram[i];
                n += same ? 1 : 0;
            }
        return n;
    }
};

Ids random_ids(std::size_t n) {
    Ids ids;
    while (ids.size() < n) ids.push_back(below(30) == 0 ? 7 : token_ids[below(n_codes - 1)]);
    return ids;
}

Tokens tokens(const Ids& ids) { return std::span<const std::uint32_t>(ids); }

void test_an_index_of_any_width_counts(const Corpus& corpus) {
    for (int i = 0; i < 30; ++i) {
        const Ids ids = random_ids(1 + below(5));
        for (const AnyIndex& index : corpus.indexes) {
            CHECK(index.count(tokens(ids)) == corpus.count(ids));
            const auto lengths = index.match_lengths(tokens(ids), 100);
            for (std::size_t end = 1; end <= ids.size(); ++end) {
                std::size_t n = 0;
                while (n < end &&
                       corpus.count({ids.begin() + static_cast<std::ptrdiff_t>(end - n - 1),
                                     ids.begin() + static_cast<std::ptrdiff_t>(end)}) > 0)
                    ++n;
                CHECK(lengths[end - 1] == n);
            }
        }
    }
    const AnyIndex& index = corpus.indexes[0];
    const std::array<std::uint8_t, 2> bytes = {97, 98};
    CHECK(index.count(std::span<const std::uint8_t>(bytes)) == corpus.count({97, 98}));
    CHECK(throws<InvalidParameter>([&] { (void)index.tokens(2, 0, 1); }));
    CHECK(throws<InvalidParameter>([&] { (void)index.tokens(0, 1, 1u << 30); }));
    const std::array<Row, 1> beyond = {1u << 30};
    CHECK(throws<InvalidParameter>([&] { (void)index.positions(0, beyond); }));
}

void test_a_cursor_reads_a_level_as_one(const Corpus& corpus) {
    for (int i = 0; i < 10; ++i) {
        const Ids ids = random_ids(2 + below(8));
        const auto reference = corpus.indexes[0].cursor(tokens(ids), 50);
        const auto levels = reference->levels();
        for (const AnyIndex& index : corpus.indexes) {
            auto cursor = index.start_of_document(50);
            cursor->read(tokens(ids));
            const AnyCursor twin =
                *index.restore_cursor(index.cursor(tokens(ids), 50)->state(), 50);
            const auto readings = twin.read_levels(0.0);
            CHECK(readings.size() == levels.size() + 1 && readings.back().n == 0);
            for (std::size_t level = 0; level < levels.size(); ++level) {
                CHECK(readings[level].n == levels[level].n && readings[level].m == levels[level].m);
                std::int64_t sum = 0;
                for (std::size_t t = 0; t < readings[level].token_ids.size(); ++t) {
                    sum += readings[level].counts[t];
                    CHECK(readings[level].contexts[t] == readings[level].passed[t]);  // exponent 0
                    CHECK(readings[level].counts[t] >= readings[level].contexts[t]);
                }
                CHECK(sum == static_cast<std::int64_t>(levels[level].m));
                CHECK(twin.next_tokens(level).first == levels[level].n);
            }
            CHECK(throws<InvalidParameter>([&] { (void)twin.next_tokens(levels.size() + 1); }));
        }
    }
    const std::array<std::int64_t, 4> wrong = {0, 1, 5, 1};
    CHECK(throws<InvalidParameter>([&] { (void)corpus.indexes[0].restore_cursor(wrong, 9); }));
}

std::shared_ptr<const KneserNeyModel> random_model(bool live) {
    std::vector<double> tables(std::size_t{3} * n_discount_rows);
    for (double& x : tables) x = std::normal_distribution<double>(0.0, 0.5)(rng);
    const Discounts discounts(tables);
    return std::make_shared<const KneserNeyModel>(FixedPower(0.2), discounts,
                                                  live ? std::optional(discounts) : std::nullopt,
                                                  vocabulary, 1000, 1u << 20);
}

// Every width and estimator: distributions sum to one, and scores are theirs.
void test_predictors_say_what_they_score(const Corpus& corpus) {
    const auto model = random_model(true);
    for (const std::uint32_t live_tokens : {0u, 500u}) {
        const auto made = [&](const AnyIndex& index, int kind) {
            const auto cursor = index.cursor(std::span<const std::uint32_t>(), 50);
            return kind == 0
                       ? make_predictor<Sbis>(
                             *cursor, SbisParameters{2, 0.3, false, 1e-6, vocabulary}, live_tokens)
                       : make_predictor<KneserNey>(*cursor, model, live_tokens);
        };
        for (int kind = 0; kind < 2; ++kind) {
            const Ids text = random_ids(40);
            std::vector<double> first;
            for (const AnyIndex& index : corpus.indexes) {
                const auto scores = made(index, kind)->score(tokens(text));
                const auto stepping = made(index, kind);
                for (std::size_t i = 0; i < text.size(); ++i) {
                    const auto probs = stepping->distribution();
                    double sum = 0.0;
                    for (const double prob : probs) sum += prob;
                    CHECK(std::abs(sum - 1.0) < 1e-9);
                    CHECK(probs.size() == n_codes + 1);
                    const std::uint32_t code = index.alphabet().code(text[i]);
                    const double prob = code == Alphabet::unknown
                                            ? probs.back() / (vocabulary - n_codes)
                                            : probs[code];
                    CHECK(prob > 0.0 && std::abs(std::exp(scores.log_prob[i]) / prob - 1.0) < 1e-9);
                    stepping->read(std::span<const std::uint32_t>(&text[i], 1));
                }
                if (first.empty()) first = scores.log_prob;
                CHECK(scores.log_prob == first);  // whatever the width
            }
        }
    }
    CHECK(throws<InvalidParameter>([&] {
        const auto cursor = corpus.indexes[0].start_of_document(9);
        (void)make_predictor<KneserNey>(*cursor, random_model(false), 10);
    }));
}

void test_samplers_of_any_width_draw_the_same(const Corpus& corpus) {
    for (const std::uint32_t max_copy : {0u, 3u}) {
        std::vector<Ids> drawn;
        for (const AnyIndex& index : corpus.indexes) {
            std::mt19937 engine(5);
            Ids text;
            for (int i = 0; i < 8; ++i) {  // some end at once
                const auto predictor =
                    make_predictor<Sbis>(*index.start_of_document(50), SbisParameters{2, 0.3}, 0);
                SamplingParameters how;
                how.max_copy = max_copy;
                const Uniform uniform{&draw, &engine};
                const auto sampler = predictor->sampler(how, {&uniform, 1});
                const Ids part = sampler->sample(60)[0].token_ids;
                if (max_copy != 0)
                    for (const std::uint32_t n : index.match_lengths(tokens(part), 100))
                        CHECK(n <= max_copy);
                text.insert(text.end(), part.begin(), part.end());
            }
            drawn.push_back(text);
        }
        CHECK(drawn[0] == drawn[1] && drawn[1] == drawn[2]);
        CHECK(!drawn[0].empty());
    }
}

void test_texts_drawn_together_are_those_drawn_alone(const Corpus& corpus) {
    for (const AnyIndex& index : corpus.indexes) {
        const auto cursor = index.start_of_document(50);
        const auto model = random_model(true);
        for (const double temperature : {0.0, 0.8, 1.0, 1.3}) {
            SamplingParameters how;
            how.temperature = temperature;
            for (const auto& predictor :
                 {make_predictor<Sbis>(*cursor, SbisParameters{2, 0.3}, 0),
                  make_predictor<Sbis>(*cursor, SbisParameters{-1, 0.3}, 20),
                  make_predictor<KneserNey>(*cursor, model, 0),
                  make_predictor<KneserNey>(*cursor, model, 20)}) {
                std::vector<std::mt19937> engines;
                for (std::uint32_t i = 0; i < 5; ++i) engines.emplace_back(i);
                std::vector<std::mt19937> again = engines;
                std::vector<Uniform> uniforms;
                for (std::mt19937& engine : engines) uniforms.push_back({&draw, &engine});
                const auto together = predictor->sampler(how, uniforms);
                std::vector<Drawn> texts = together->sample(25);
                const std::vector<Drawn> rest = together->sample(15);
                for (std::size_t i = 0; i < texts.size(); ++i) {
                    const Uniform uniform{&draw, &again[i]};
                    const Drawn alone = predictor->sampler(how, {&uniform, 1})->sample(40)[0];
                    Ids& ids = texts[i].token_ids;
                    ids.insert(ids.end(), rest[i].token_ids.begin(), rest[i].token_ids.end());
                    CHECK(ids == alone.token_ids);
                    CHECK(std::string_view(rest[i].ended) == alone.ended);
                }
            }
        }
        CHECK(make_predictor<Sbis>(*cursor, SbisParameters{2, 0.3}, 0)
                  ->sampler({}, {})
                  ->sample(3)
                  .empty());
    }
}

void test_a_watch_tells_where_a_run_is_too_long(const Corpus& corpus) {
    const AnyIndex& index = corpus.indexes[0];
    std::vector<Owned<std::uint8_t>> owned;
    for (const auto& text : corpus.texts) owned.emplace_back(text, n_codes);
    std::vector<Shard<std::uint8_t>> shards;
    for (const auto& shard : owned) shards.emplace_back(shard.columns());
    const Ids ids = random_ids(60);
    const Alphabet alphabet(token_ids, end_of_text);
    for (const std::uint32_t max_copy : {1u, 2u, 4u}) {
        RunWatch<std::uint8_t> watch(shards);
        const auto lengths = index.match_lengths(tokens(ids), 100);
        for (std::size_t i = 0; i < ids.size(); ++i)
            CHECK(watch.too_long(alphabet.code(ids[i]), max_copy) == (lengths[i] > max_copy));
        watch.separate();
        CHECK(!watch.too_long(1, max_copy));
    }
}

// A draft's probabilities are Kneser-Ney's, but for what lies behind all levels.
void test_drafts_read_the_steps_that_kneser_ney_reads(const Corpus& corpus) {
    const auto model = random_model(true);
    const Ids context = random_ids(12);
    for (const AnyIndex& index : corpus.indexes) {
        const auto predictor =
            make_predictor<KneserNey>(*index.cursor(tokens(context), max_context), model, 0);
        const auto probs = predictor->distribution();
        const auto source = draft::source_of(index, model->power, model->corpus, 1.0, 1u << 20);
        auto chains = source->start();
        for (const std::uint32_t id : context) source->advance(chains, id);
        source->find(chains);
        source->begin();
        draft::Candidates candidates(end_of_text);
        const Reach reach{source->longest(), 0};
        double rest = 1.0;
        std::uint32_t last = ~0u;
        while (const auto n = source->next()) {
            CHECK(*n < last);
            last = *n;
            rest *= source->read(reach, rest, candidates);
        }
        CHECK(last == 0 && !candidates.all().empty());
        for (const draft::Candidate& candidate : candidates.all()) {
            const double prob = probs[index.alphabet().code(candidate.token)];
            CHECK(candidate.prob <= prob + 1e-12 && prob <= candidate.prob + rest);
        }
    }
}

void test_a_draft_is_walked_down_in_one_way() {
    draft::Draft draft;
    draft.nodes = {{5, -1, 0, 0, 0, 0, {}}, {6, 0, 0, 0, 0, 0, {}}, {6, -1, 0, 0, 0, 0, {}}};
    CHECK(draft.child(-1, 6) == 2 && draft.child(0, 6) == 1 && draft.child(1, 6) == -1);
    const Ids given = {5, 6, 7};
    CHECK((draft.accepted(given) == std::vector<std::int32_t>{0, 1}));
}

void test_a_fit_makes_its_blocks_more_probable(const Corpus& corpus) {
    const auto n = static_cast<std::uint32_t>(corpus.texts[0].size());
    const std::array<std::uint32_t, 3> block = {0, 1, n / 2};
    for (const AnyIndex& index : corpus.indexes) {
        const Fits short_fit = fit_index(index, block, {0.2, 20, 1, 4, 1e-5, 1});
        const Fits fits = fit_index(index, block, {0.2, 20, 1, 80, 1e-5, 2});
        CHECK(fits.n_tokens > 0 && fits.corpus.nats < short_fit.corpus.nats);
        const Fits third = fit_index(index, block, {0.2, 20, 3, 4, 1e-5, 1});
        CHECK(third.n_tokens == (fits.n_tokens + 2) / 3);
        CHECK(fits.adapting.tables.size() == 2 * fits.corpus.tables.size());
    }
    const std::array<std::uint32_t, 3> outside = {0, 1, n + 1};
    CHECK(throws<InvalidParameter>([&] { (void)fit_index(corpus.indexes[0], outside, {}); }));
    CHECK(throws<InvalidParameter>(
        [&] { (void)fit_index(corpus.indexes[0], std::span(block).first(2), {}); }));
}

void test_candidates_are_as_long_as_their_spans(const Corpus& corpus) {
    std::vector<std::vector<std::uint8_t>> reversed;
    for (const auto& text : corpus.texts) {
        reversed.emplace_back(text.rbegin(), text.rend());
        reversed.back().insert(reversed.back().begin(), boundary);
    }
    // 97 and 98 are letters.
    const std::array<std::uint8_t, n_codes> n_of_character = {0, 1, 1, 1, 1};
    const std::array<std::uint64_t, 2> of_words = {1, 2};
    const refine::Letters letters(n_of_character, of_words, {});
    const AnyIndex backwards = make_index<std::uint8_t>(reversed);
    const auto lexicon = refine::make_lexicon(corpus.indexes[0], letters, 1u << 20);
    CHECK(lexicon->size() > 0);
    std::mt19937 engine(1);
    const Ids text = {97, 98, 99, 98, 97, 99, 97, 99};
    const std::array<std::int64_t, 2> begins = {0, 3};
    const std::array<std::int64_t, 2> ends = {2, 5};
    const auto proposals = refine::make_proposals(corpus.indexes[0], &backwards, lexicon);
    const auto found =
        (*proposals)(text, begins, ends, {3, 3, refine::Wanted::text}, {&draw, &engine});
    CHECK(found.candidates.size() == found.span_of.size() && !found.span_of.empty());
    std::set<std::pair<std::int64_t, Ids>> different;
    for (std::size_t i = 0; i < found.span_of.size(); ++i) {
        const auto codes = found.candidates[i].codes;
        CHECK(codes.size() == 2);
        different.insert({found.span_of[i], Ids(codes.begin(), codes.end())});
    }
    CHECK(different.size() == found.span_of.size());
    CHECK(throws<InvalidParameter>(
        [&] { (void)refine::make_proposals(corpus.indexes[1], &backwards, lexicon); }));

    const auto polisher = refine::make_polisher(corpus.indexes[0], backwards, lexicon,
                                                random_model(false), random_model(false), 6);
    const std::vector<std::uint8_t> editable(text.size(), refine::yes);
    const auto standing = proposals->standing(text, begins, ends);
    CHECK(standing.size() == 2 && standing[0] <= 3 && standing[1] <= 3);
    const auto done =
        (*polisher)(text, editable, begins, ends, {2, 1.0, 0.0, 0, 3, 3}, {&draw, &engine});
    CHECK(done.token_ids.size() == text.size());
    CHECK(done.old.size() == done.edits.candidates.codes.size());
    CHECK((done.token_ids != text) == !done.edits.begins.empty());
    for (const double gain : done.edits.gains) CHECK(gain > 0.0);
    const std::array<std::int64_t, 1> first = {0};
    const std::array<std::int64_t, 1> last = {static_cast<std::int64_t>(text.size())};
    CHECK(throws<InvalidParameter>([&] {
        (void)(*polisher)(text, editable, first, last, {2, 1.0, 0.0, 0, 3, 3}, {&draw, &engine});
    }));
}

// Characters of several tokens: 1 begins one of two, 2 one of three, 3 is what goes on, 4 is ASCII.
void test_letters_of_several_tokens_are_whole() {
    const std::array<std::uint8_t, 5> n_of_character = {0, 2, 3, 0, 1};
    const std::array<std::uint64_t, 2> of_words = {4, 1u << 16 | 3u};
    const std::array<std::uint64_t, 1> apostrophes = {std::uint64_t{2} << 32 | 3u << 16 | 3u};
    const refine::Letters letters(n_of_character, of_words, apostrophes);
    const Ids text = {4, 1, 3, 2, 3, 3, 4, 3, 2, 3, 3, 1};
    const std::span<const std::uint32_t> codes(text);
    CHECK(letters.size_at(codes, 1) == 2 && letters.size_at(codes, 2) == 0);
    CHECK(letters.size_before(codes, 6) == 3 && letters.size_before(codes, 5) == 0);
    CHECK(letters.size_at(codes, 11) == 0 && letters.size_at(codes, 12) == 0);
    std::vector<std::pair<std::size_t, std::size_t>> words;
    letters.for_each_word(codes, [&](refine::Span at) { words.emplace_back(at.begin, at.end); });
    CHECK((words == std::vector<std::pair<std::size_t, std::size_t>>{{0, 7}}));
    CHECK(!letters.is_mark(4) && !letters.is_mark(3) && !letters.is_mark(0));
}

// Against a list in order: of equals the first one is likelier.
void test_who_waits_is_taken_and_dropped_in_order() {
    std::mt19937 engine(7);
    for (int round = 0; round < 200; ++round) {
        draft::Waiting waiting;
        std::vector<draft::Node> in_order;
        waiting.clear();
        for (std::uint32_t i = 0; i < 200; ++i) {
            const auto what = in_order.empty() ? 0 : engine() % 4;
            if (what < 2) {
                draft::Node node{};
                node.token = i;
                node.path_prob = static_cast<double>(engine() % 8) / 8.0;
                waiting.add(node);
                in_order.insert(std::ranges::upper_bound(in_order, node.path_prob, std::greater{},
                                                         &draft::Node::path_prob),
                                node);
            } else if (what == 2) {
                CHECK(waiting.highest() == in_order.front().path_prob);
                CHECK(waiting.take().token == in_order.front().token);
                in_order.erase(in_order.begin());
            } else {
                CHECK(waiting.lowest() == in_order.back().path_prob);
                waiting.drop();
                in_order.pop_back();
            }
            CHECK(waiting.size() == in_order.size());
        }
        while (!in_order.empty()) {
            CHECK(waiting.take().token == in_order.front().token);
            in_order.erase(in_order.begin());
        }
        CHECK(waiting.empty());
    }
}

}  // namespace

int main() {
    for (const std::size_t n : {40u, 400u, 1500u}) {
        const Corpus corpus(n);
        test_an_index_of_any_width_counts(corpus);
        test_a_cursor_reads_a_level_as_one(corpus);
        test_predictors_say_what_they_score(corpus);
        test_samplers_of_any_width_draw_the_same(corpus);
        test_texts_drawn_together_are_those_drawn_alone(corpus);
        test_a_watch_tells_where_a_run_is_too_long(corpus);
        if (n < 1000)  // of ranges of more than 512 rows a draft looks at a sample
            test_drafts_read_the_steps_that_kneser_ney_reads(corpus);
    }
    test_a_draft_is_walked_down_in_one_way();
    test_who_waits_is_taken_and_dropped_in_order();
    const Corpus corpus(1500);
    test_a_fit_makes_its_blocks_more_probable(corpus);
    test_candidates_are_as_long_as_their_spans(corpus);
    test_letters_of_several_tokens_are_whole();
    std::puts("1 passed, 0 failed");
}
