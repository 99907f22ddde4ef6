// Texts drawn from SBIS by rejection, side by side, where all that it looks at are k levels of one
// shard of bytes, in the fast layout: what `Rejection` draws and `FirstLevels` reads, in one loop.
//
// What is counted to tell a proposal's weight are the images of the levels, which are the levels of
// the context that is read next: nothing is counted twice. Every text goes one step at a time, so
// that memory has what its next step reads by the time that the others have gone theirs.
//
// The same floating-point operations as in `Rejection`, in the same order. What does not fit here,
// such as a level that holds the end of the corpus, is left to them for a token.
//
// Not for two threads: each has one of its own.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "infgram/contexts/neighbours.hpp"
#include "infgram/models/draw.hpp"
#include "infgram/models/rejection.hpp"
#include "infgram/models/sbis.hpp"
#include "infgram/rows/match64.hpp"
#include "infgram/rows/shard.hpp"

namespace infgram {

template <std::size_t k>
class RowTexts {
public:
    // A text: where it is, and the token on its way.
    struct Text {
        Uniform uniform;
        std::uint32_t* drawn = nullptr;      // where the code drawn next goes
        std::array<Level, k> levels{};       // longest first
        std::array<RowWeight, k> weights{};  // of the levels
        std::size_t n_levels = 0;            // of them; fewer than k where some are to be found
        double total = 0.0;                  // weight of all rows
        Row row = 0;                         // proposed
        std::uint32_t code = 0;              // that it has next
        std::array<Range, k> images{};       // of the levels, by the code

        [[nodiscard]] std::span<const Level> found() const noexcept {
            return std::span(levels).first(n_levels);
        }
    };

    // Borrows all but the law.
    RowTexts(const SbisParameters& law, const Shard<std::uint8_t>& shard,
             const Neighbours* neighbours, std::uint32_t window, Acceptance& accepts)
        : law_(law),
          shard_(shard),
          rank_(shard.rank().fast()),
          next_(shard.next()),
          neighbours_(neighbours),
          window_(window),
          accepts_(accepts) {}

    // Goes on from a chain; false if that does not fit.
    [[nodiscard]] bool begin(Text& text, const Chain& chain) const {
        if (chain.size() < k) return false;
        std::copy_n(chain.begin(), k, text.levels.begin());
        text.n_levels = k;
        double weight = 1.0;
        for (RowWeight& level : text.weights) {
            level = {weight, 1.0 / weight};
            weight *= law_.decay;
        }
        return settle(text);
    }

    // Proposes a row.
    void propose(Text& text) const {
        double left = text.uniform() * text.total;
        double row = left * text.weights[0].inverse;
        Range range = text.levels[0].range;
        for (std::size_t i = 1; i < k; ++i) {  // which level is as good as random: no branch
            left -= text.weights[i - 1].weight * text.levels[i - 1].range.size();
            row = left >= 0.0 ? left * text.weights[i].inverse : row;
            range = left >= 0.0 ? text.levels[i].range : range;
        }
        text.row = range.begin + std::min(static_cast<std::uint32_t>(row), range.size() - 1);
        prefetch(next_ + text.row);
    }

    // Looks what stands there.
    void look(Text& text) const {
        text.code = next_[text.row];
        if (text.code >= shard_.n_codes()) throw_corrupt("next");
        if (is_narrow(text)) return rank_.prefetch(text.code, text.levels[k - 1].range.begin);
        for (const Level& level : text.levels) {
            rank_.prefetch(text.code, level.range.begin);
            if (level.range.size() > 64) rank_.prefetch(text.code, level.range.end);
        }
    }

    // Draws from what was proposed, or is proposed then, and reads it as far as images tell; false
    // if that does not fit: behind the boundary, or after too many tries, where the code is
    // Alphabet::unknown.
    [[nodiscard]] bool draw(Text& text) const {
        for (int i = 1; !accept(text); ++i) {
            if (i == most_tries) {
                text.code = Alphabet::unknown;
                return false;
            }
            propose(text);
            look(text);
        }
        if (text.code == boundary) return false;
        *text.drawn++ = text.code;
        move(text);
        return true;
    }

    // Finds the levels that were lost; false if the rest of reading does not fit.
    [[nodiscard]] bool fill(Text& text) const {
        if constexpr (k > 1)  // one is always found
            for (; text.n_levels < k; ++text.n_levels) {
                const Level& last = text.levels[text.n_levels - 1];
                const Level level = neighbours_ != nullptr ? neighbours_->wider(shard_, last)
                                                           : infgram::wider(shard_, last);
                if (level.n == 0) return false;
                text.levels[text.n_levels] = level;
            }
        return settle(text);
    }

private:
    [[nodiscard]] static bool is_narrow(const Text& text) noexcept {
        return text.levels[k - 1].range.size() <= 64;
    }

    // Makes levels and weights those that are drawn from; false where levels have a row without a
    // next token, or one lies beyond the window.
    [[nodiscard]] bool settle(Text& text) const {
        if (shard_.has_end(text.levels[k - 1].range)) return false;
        if (text.levels[0].n > window_) {
            if (k == 1 || text.levels[k == 1 ? 0 : 1].n >= window_) return false;
            text.levels[0].n = window_;
        }
        if (law_.normalise) {
            double weight = 1.0;
            for (std::size_t i = 0; i < k; ++i, weight *= law_.decay) {
                const double of_row = weight / text.levels[i].range.size();
                text.weights[i] = {of_row, 1.0 / of_row};
            }
        }
        text.total = 0.0;
        for (std::size_t i = 0; i < k; ++i)
            text.total += text.weights[i].weight * text.levels[i].range.size();
        return true;
    }

    [[nodiscard]] bool accept(Text& text) const {
        find_images(text);
        double weight = 0.0;
        for (std::size_t i = 0; i < k; ++i)
            weight += text.weights[i].weight * static_cast<double>(text.images[i].size());
        return accepts_(weight / text.total, text.uniform);
    }

    void find_images(Text& text) const {
        const auto byte = static_cast<std::uint8_t>(text.code);
        const Range bucket = shard_.bucket(text.code);
        Range last;
        bool fits = true;
        if (is_narrow(text)) {
            const Row first = text.levels[k - 1].range.begin;
            const std::uint64_t found = match64(next_ + first, byte);
            const Row image = rank_(text.code, first);
            for (std::size_t i = 0; i < k; ++i) {
                const Range range = text.levels[i].range;
                text.images[i] = last = {image + count_bits(found & low_bits(range.begin - first)),
                                         image + count_bits(found & low_bits(range.end - first))};
            }
        } else {
            last = {bucket.end, bucket.begin};  // none, which every range in the bucket holds
            for (std::size_t i = 0; i < k; ++i) {
                const Range range = text.levels[i].range;
                Range image;
                image.begin = rank_(text.code, range.begin);
                image.end = range.size() <= 64 ? image.begin + count_equal(next_ + range.begin,
                                                                           range.size(), 64, byte)
                                               : rank_(text.code, range.end);
                fits &= image.begin <= last.begin && image.end >= last.end &&
                        image.size() <= range.size();
                text.images[i] = last = image;
            }
        }
        // Images lie where they can, whatever the columns hold.
        if (!fits || last.empty() || last.begin < bucket.begin || last.end > bucket.end)
            throw_corrupt("rank");
    }

    void move(Text& text) const {
        text.n_levels = 0;
        std::uint32_t size = 0;
        for (std::size_t i = 0; i < k; ++i) {
            const Range image = text.images[i];
            // A level that gains no row over a longer one is not a level: it is overwritten.
            text.levels[text.n_levels] = {text.levels[i].n + 1, image};
            text.n_levels += image.size() > size ? 1 : 0;
            size = image.size();
        }
        const Range range = text.levels[text.n_levels - 1].range;
        prefetch(next_ + range.begin);
        if (text.n_levels < k && neighbours_ != nullptr) {
            neighbours_->prefetch(range.begin);
            neighbours_->prefetch(range.end);
        }
    }

    SbisParameters law_;
    const Shard<std::uint8_t>& shard_;
    const BlockRank& rank_;
    const std::uint8_t* next_;
    const Neighbours* neighbours_;
    std::uint32_t window_;
    Acceptance& accepts_;
};

}  // namespace infgram
