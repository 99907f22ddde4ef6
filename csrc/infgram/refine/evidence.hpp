// What one side of an index says of a text, token by token, and what it would say of another word
// in it. The other side's index holds the text backwards, and is asked with the text backwards.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "infgram/contexts/chain.hpp"
#include "infgram/models/kneser_ney.hpp"
#include "infgram/rows/shard.hpp"

namespace infgram::refine {

// Not for two threads. Borrows the shards.
template <class Code>
class Evidence {
public:
    // window: tokens of context that are seen.
    Evidence(std::span<const Shard<Code>> shards, std::shared_ptr<const KneserNeyModel> model,
             std::uint32_t window)
        : shards_(shards),
          estimator_(std::move(model), shards),
          window_(window),
          moving_(shards.size()) {}

    // Reads a text, before which nothing stands. O(n).
    void read(std::span<const std::uint32_t> codes) {
        codes_.assign(codes.begin(), codes.end());
        log_prob_.resize(codes.size());
        if (chains_.size() < (codes.size() + 1) * shards_.size())
            chains_.resize((codes.size() + 1) * shards_.size());
        for (std::size_t s = 0; s < shards_.size(); ++s) chains_[s].clear();
        for (std::size_t i = 0; i < codes_.size(); ++i) {
            log_prob_[i] = log_prob(before(i), codes_[i]);
            std::ranges::copy(before(i), writable(i + 1).begin());
            advance_all(shards_, writable(i + 1), codes_[i], window_);
        }
    }

    [[nodiscard]] std::span<const std::uint32_t> codes() const noexcept { return codes_; }
    [[nodiscard]] std::span<const double> log_prob() const noexcept { return log_prob_; }

    // The chains of the context before a token, one a shard.
    [[nodiscard]] std::span<const Chain> before(std::size_t i) const noexcept {
        return std::span(chains_).subspan(i * shards_.size(), shards_.size());
    }

    // How much more probable the text would be with these tokens in place of those from `begin` on,
    // in nats. Whatever comes after them is read until the contexts are the same again. Stops when
    // the tokens read so far make it less than `least`, and gives what it is until then.
    [[nodiscard]] double gain(std::size_t begin, std::span<const std::uint32_t> with,
                              double least) {
        return walk(begin, with, least, [](std::size_t, double) {});
    }

    // Puts the tokens there.
    void replace(std::size_t begin, std::span<const std::uint32_t> with) {
        walk(begin, with, -std::numeric_limits<double>::infinity(),
             [&](std::size_t i, double log_prob) {
                 log_prob_[i] = log_prob;
                 std::ranges::copy(moving_, writable(i + 1).begin());
             });
        std::ranges::copy(with, codes_.begin() + static_cast<std::ptrdiff_t>(begin));
    }

private:
    static constexpr double least_prob = 1e-10;  // of a token that the corpus does not have

    [[nodiscard]] std::span<Chain> writable(std::size_t i) noexcept {
        return std::span(chains_).subspan(i * shards_.size(), shards_.size());
    }

    double log_prob(std::span<const Chain> chains, std::uint32_t code) {
        estimator_.look(chains);
        return std::log(
            std::max(code == Alphabet::unknown ? 0.0 : estimator_.prob(code), least_prob));
    }

    // Reads the tokens, and on: visit(i, log_prob) when token i was read and stands in moving_.
    template <class Visit>
    double walk(std::size_t begin, std::span<const std::uint32_t> with, double least,
                Visit&& visit) {
        std::size_t same = 0;
        while (same < with.size() && with[same] == codes_[begin + same]) ++same;
        if (same == with.size()) return 0.0;
        std::ranges::copy(before(begin + same), moving_.begin());
        double gain = 0.0;
        for (std::size_t i = begin + same; i < codes_.size(); ++i) {
            const bool inside = i < begin + with.size();
            const std::uint32_t code = inside ? with[i - begin] : codes_[i];
            const double now = log_prob(moving_, code);
            gain += now - log_prob_[i];
            if (gain < least) break;
            advance_all(shards_, std::span<Chain>(moving_), code, window_);
            const bool last = i + 1 >= begin + with.size() && is_as_before(i + 1);
            visit(i, now);
            if (last) break;
        }
        return gain;
    }

    [[nodiscard]] bool is_as_before(std::size_t i) const noexcept {
        return std::ranges::equal(before(i), moving_, [](const Chain& a, const Chain& b) {
            return std::ranges::equal(a, b, [](const Level& x, const Level& y) {
                return x.n == y.n && x.range == y.range;
            });
        });
    }

    std::span<const Shard<Code>> shards_;
    KneserNey<Code> estimator_;
    std::uint32_t window_;
    std::vector<std::uint32_t> codes_;
    std::vector<double> log_prob_;
    std::vector<Chain> chains_;  // before each token and after the last, one a shard
    std::vector<Chain> moving_;
};

}  // namespace infgram::refine
