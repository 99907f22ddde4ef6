// The same answers everywhere: what a corpus answers on this system must be what it answered where
// the constants below were written, to the bit. Only where the system's exp, log and pow are asked,
// whose last bits are the system's own, numbers may differ by 1e-12 of themselves.
//
// Nothing here is random but by its own generator, since those of standard libraries differ.
// Where answers are meant to change, this prints the new constants.
//
// Not for threads, and needs none.
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "infgram/contexts/context.hpp"
#include "infgram/contexts/index.hpp"
#include "infgram/contexts/live.hpp"
#include "infgram/models/kneser_ney.hpp"
#include "infgram/models/sampler.hpp"
#include "infgram/models/sbis.hpp"
#include "owned.hpp"

using namespace infgram;
using namespace infgram::testing;

namespace {

// A linear congruential generator (Knuth's MMIX).
class Lcg {
public:
    explicit Lcg(std::uint64_t seed) : state_(seed) {}
    std::uint64_t next() {
        state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
        return state_ >> 11;  // 53 bits
    }
    std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(next() % n); }
    double uniform() { return static_cast<double>(next()) / 9007199254740992.0; }

private:
    std::uint64_t state_;
};

double draw(void* state) { return static_cast<Lcg*>(state)->uniform(); }

// FNV-1a, of whole numbers and of the bits of others.
class Checksum {
public:
    void add(std::uint64_t x) {
        for (int i = 0; i < 8; ++i) sum_ = (sum_ ^ (x >> (8 * i) & 255)) * 1099511628211ULL;
    }
    void add(double x) { add(std::bit_cast<std::uint64_t>(x)); }
    [[nodiscard]] std::uint64_t sum() const { return sum_; }

private:
    std::uint64_t sum_ = 14695981039346656037ULL;
};

// Words, frequent and rare ones, in sentences, some of which come again, in a few documents.
// Codes: 1 is a space, 2 a full stop, and letters.
constexpr std::uint32_t n_codes = 25;
constexpr std::uint32_t end_of_text = 1000;
constexpr std::uint64_t n_vocabulary = end_of_text + 1;

std::vector<std::uint8_t> make_text() {
    Lcg random(1);
    std::vector<std::vector<std::uint8_t>> words(700);
    for (auto& word : words)
        for (std::uint32_t n = 1 + random.below(4); n > 0; --n) {
            word.push_back(static_cast<std::uint8_t>(3 + random.below(17)));
            word.push_back(static_cast<std::uint8_t>(20 + random.below(5)));
        }
    std::vector<std::uint8_t> text = {boundary};
    while (text.size() < 100'000) {
        const std::size_t begin = random.below(static_cast<std::uint32_t>(text.size()));
        if (random.below(4) == 0 && begin + 80 < text.size()) {
            for (std::size_t i = begin + 1; i < begin + 80; ++i)
                if (text[i] != boundary) text.push_back(text[i]);
        } else {
            for (std::uint32_t n = 3 + random.below(12); n > 0; --n) {
                const std::uint32_t most =
                    1 + random.below(static_cast<std::uint32_t>(words.size()));
                const auto& word = words[random.below(most)];
                text.insert(text.end(), word.begin(), word.end());
                text.push_back(n == 1 ? 2 : 1);
            }
        }
        if (random.below(60) == 0) text.push_back(boundary);
    }
    if (text.back() == boundary) text.push_back(2);
    return text;
}

std::vector<std::uint32_t> token_ids() {
    std::vector<std::uint32_t> ids = {' ', '.'};
    for (std::uint32_t id = 'a'; ids.size() + 1 < n_codes; ++id) ids.push_back(id);
    return ids;
}

// D = k * 1/2 with exponent 0: Kneser-Ney without a logarithm.
std::shared_ptr<const KneserNeyModel> halves(std::uint64_t n_rows) {
    const Discounts discounts(same_discounts({0.0, 0.0, 0.0}));
    return std::make_shared<const KneserNeyModel>(FixedPower(0.0), discounts, discounts,
                                                  n_vocabulary, n_rows, 1u << 20);
}

// Discounts that depend on everything they can.
std::shared_ptr<const KneserNeyModel> fitted(std::uint64_t n_rows) {
    Lcg random(2);
    std::vector<double> tables(std::size_t{3} * n_discount_rows);
    for (double& x : tables) x = random.uniform() - 0.5;
    const Discounts discounts(tables);
    return std::make_shared<const KneserNeyModel>(FixedPower(0.25), discounts, discounts,
                                                  n_vocabulary, n_rows, 1u << 20);
}

// What one text answers in codes of one width.
template <class Code>
class Answers {
public:
    explicit Answers(const std::vector<std::uint8_t>& text)
        : text_(text),
          owned_(std::vector<Code>(text.begin(), text.end()), n_codes),
          ids_(token_ids()),
          index_(Alphabet(ids_, end_of_text), {Shard<Code>(owned_.columns())}),
          halves_(halves(index_.n_rows())),
          fitted_(fitted(index_.n_rows())) {}

    [[nodiscard]] std::uint64_t columns() const {
        Checksum sum;
        for (const Position p : owned_.sa) sum.add(std::uint64_t{p});
        for (const std::uint8_t n : owned_.same) sum.add(std::uint64_t{n});
        return sum.sum();
    }

    [[nodiscard]] std::uint64_t counts() const {
        Lcg random(3);
        Checksum sum;
        for (int i = 0; i < 2000; ++i) sum.add(index_.count(passage(random, 1 + random.below(12))));
        return sum.sum();
    }

    [[nodiscard]] std::uint64_t levels() const {
        Lcg random(4);
        Checksum sum;
        for (int i = 0; i < 500; ++i)
            for (const IndexLevel level : index_.levels(index_.chains(passage(random, 100)))) {
                sum.add(std::uint64_t{level.n});
                sum.add(level.m);
            }
        return sum.sum();
    }

    template <class Estimator>
    [[nodiscard]] std::uint64_t drawn(Estimator estimator, std::uint32_t max_copy = 0) const {
        Lcg random(5);
        Checksum sum;
        SamplingParameters how;
        how.max_copy = max_copy;
        Sampler<Code, Estimator> sampler(context(0), std::move(estimator), how);
        TextToDraw<Code> text = sampler.text(context(0), {&draw, &random});
        for (std::size_t left = 3000; left != 0; left -= text.drawn.size()) {
            sampler.write({&text, 1}, left);
            for (const std::uint32_t code : text.drawn) sum.add(std::uint64_t{code});
            if (!text.has_ended) continue;
            sum.add(std::uint64_t{text.code});
            text.has_ended = false;  // it goes on behind the end
            --left;
        }
        return sum.sum();
    }

    // What an estimator says of the tokens of a text, some of which are not the corpus's: the bits
    // of all probabilities, and the sum of all logarithms.
    struct Scores {
        std::uint64_t bits;
        double log_prob;
    };
    template <class Estimator>
    [[nodiscard]] Scores scores(Estimator estimator, std::uint32_t live_tokens = 0) const {
        Lcg random(6);
        Checksum sum;
        Context<Code> read = context(live_tokens);
        double log_prob = 0.0;
        for (int i = 0; i < 60; ++i)
            for (const std::uint32_t id : passage(random, 25)) {
                const std::uint32_t code = index_.alphabet().code(id);
                estimator.look(read);
                const double prob = estimator.prob(code);
                sum.add(prob);
                if (prob > 0.0) log_prob += std::log(prob);
                read.read(code);
            }
        return {sum.sum(), log_prob};
    }

    [[nodiscard]] Sbis<Code> sbis(int k, double floor = 0.0) const {
        return {{k, 0.3, false, floor, n_vocabulary}, index_.shards()};
    }
    [[nodiscard]] KneserNey<Code> kneser_ney(bool exact) const {
        return {exact ? halves_ : fitted_, index_.shards()};
    }

private:
    // n tokens of the corpus, of which one may be another.
    [[nodiscard]] std::vector<std::uint32_t> passage_of(Lcg& random, std::uint32_t n) const {
        std::vector<std::uint32_t> ids;
        const std::uint32_t begin = random.below(static_cast<std::uint32_t>(text_.size()) - n);
        for (const std::uint8_t code : std::span(text_).subspan(begin, n))
            ids.push_back(code == boundary ? ' ' : ids_[code - 1u]);
        if (random.below(3) == 0) ids[random.below(n)] = ids_[random.below(n_codes - 1)];
        return ids;
    }
    std::span<const std::uint32_t> passage(Lcg& random, std::uint32_t n) const {
        passage_ = passage_of(random, n);
        return passage_;
    }
    [[nodiscard]] Context<Code> context(std::uint32_t live_tokens) const {
        std::optional<LiveText> live;
        if (live_tokens != 0) live.emplace(FixedPower(0.0), live_tokens, 100);
        return {index_.shards(), index_.start_of_document(), 100, std::move(live)};
    }

    std::vector<std::uint8_t> text_;
    Owned<Code> owned_;
    std::vector<std::uint32_t> ids_;
    Index<Code> index_;
    std::shared_ptr<const KneserNeyModel> halves_;
    std::shared_ptr<const KneserNeyModel> fitted_;
    mutable std::vector<std::uint32_t> passage_;
};

int n_wrong = 0;

void check(const char* what, std::uint64_t found, std::uint64_t expected) {
    if (found == expected) return;
    ++n_wrong;
    std::printf("%s: %016llx, expected %016llx\n", what, static_cast<unsigned long long>(found),
                static_cast<unsigned long long>(expected));
}

void check(const char* what, double found, double expected) {
    if (std::abs(found - expected) <= 1e-12 * std::abs(expected)) return;
    ++n_wrong;
    std::printf("%s: %.17g, expected %.17g\n", what, found, expected);
}

template <class Code>
void check_answers(const std::vector<std::uint8_t>& text) {
    const Answers<Code> of(text);
    check("columns", of.columns(), 0xdfd64a1901223f30);
    check("counts", of.counts(), 0xb38c51588d3ea1d9);
    check("levels", of.levels(), 0x0cc0fb2fc9f9195e);
    check("a text by SBIS, two levels", of.drawn(of.sbis(2)), 0x37cad9b003aa8832);
    check("a text by SBIS, all levels", of.drawn(of.sbis(-1)), 0xbd5315d9802689ac);
    check("a text by SBIS that copies no more than 12", of.drawn(of.sbis(2), 12),
          0x3636337b8ccac8f7);
    check("a text by the longest level", of.drawn(of.sbis(1)), 0x03e5bc021352a81e);
    check("a text by Kneser-Ney", of.drawn(of.kneser_ney(true)), 0xe70bbf012e10ec45);
    check("a text by Kneser-Ney, fitted", of.drawn(of.kneser_ney(false)), 0x598fc524924338e5);

    const auto sbis = of.scores(of.sbis(-1, 1e-6));
    check("what SBIS says", sbis.bits, 0x9169d874dbfa2061);
    check("SBIS, sum of logarithms", sbis.log_prob, -2526.4302439023518);
    const auto live = of.scores(of.sbis(-1, 1e-6), 5000);
    check("what SBIS says with a live text", live.bits, 0x22fb3d72016031e0);
    const auto kneser_ney = of.scores(of.kneser_ney(true));
    check("what Kneser-Ney says", kneser_ney.bits, 0x7cf5e858d2891dba);
    check("Kneser-Ney, sum of logarithms", kneser_ney.log_prob, -1789.8123185724135);
    const auto adapting = of.scores(of.kneser_ney(true), 5000);
    check("what Kneser-Ney says with a live text", adapting.bits, 0x573dcdb2b5b4cd5c);
    check("Kneser-Ney, fitted, sum of logarithms", of.scores(of.kneser_ney(false)).log_prob,
          -1816.4564885048812);
}

}  // namespace

int main() {
    const std::vector<std::uint8_t> text = make_text();
    Checksum sum;
    for (const std::uint8_t code : text) sum.add(std::uint64_t{code});
    check("the text", sum.sum(), 0x18ca038e2598e176);
    check_answers<std::uint8_t>(text);
    check_answers<std::uint16_t>(text);
    if (n_wrong != 0) {
        std::printf("%d answers differ\n", n_wrong);
        return 1;
    }
    std::puts("1 passed, 0 failed");
}
