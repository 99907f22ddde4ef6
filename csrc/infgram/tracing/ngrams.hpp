// All n-grams of one length, with their counts, by walking down the tree of contexts: what follows
// a context is a histogram of its rows, and a context that occurs less often than asked for has no
// longer one that occurs more often.
//
// Not for two threads. They borrow the index and the documents.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "infgram/contexts/cursor.hpp"
#include "infgram/contexts/histogram.hpp"
#include "infgram/contexts/index.hpp"

namespace infgram {

// Positions of the boundaries before each document of a shard, rising.
using Boundaries = std::span<const std::uint32_t>;

// Counts the documents that have a row in some ranges. Memory: four bytes a document.
template <class Code>
class DocumentCounter {
public:
    DocumentCounter(std::span<const Shard<Code>> shards, std::vector<Boundaries> documents)
        : shards_(shards), documents_(std::move(documents)), last_(shards.size()) {
        if (documents_.size() != shards_.size())
            throw InvalidParameter("expected the documents of every shard");
        for (std::size_t s = 0; s < shards_.size(); ++s) {
            if (!std::ranges::is_sorted(documents_[s])) throw_corrupt("documents");
            last_[s].assign(documents_[s].size(), 0);
        }
    }

    // Of ranges whose contexts are n-grams inside documents, one a shard.
    [[nodiscard]] std::uint64_t count(std::span<const Range> ranges) {
        if (++now_ == 0) {  // once in 2^32 calls the marks begin anew
            for (auto& marks : last_) std::ranges::fill(marks, 0);
            now_ = 1;
        }
        std::uint64_t n = 0;
        for (std::size_t s = 0; s < ranges.size(); ++s) {
            for (Row row = ranges[s].begin; row != ranges[s].end; ++row) {
                const Position last_token = shards_[s].position(row) - 1;
                const auto behind = std::ranges::upper_bound(documents_[s], last_token);
                if (behind == documents_[s].begin()) throw_corrupt("documents");
                auto& mark = last_[s][static_cast<std::size_t>(behind - documents_[s].begin()) - 1];
                n += mark != now_ ? 1 : 0;
                mark = now_;
            }
        }
        return n;
    }

private:
    std::span<const Shard<Code>> shards_;
    std::vector<Boundaries> documents_;
    std::vector<std::vector<std::uint32_t>> last_;  // of each document, the call that saw it last
    std::uint32_t now_ = 0;
};

// Those that occur at least so often, in the order of their codes. No n-gram crosses documents.
// Memory: the followers of one context of each length below n.
template <class Code>
class NgramWalk {
public:
    NgramWalk(const Index<Code>& index, std::uint32_t n, std::uint64_t min_count)
        : index_(&index),
          least_(std::max<std::uint64_t>(min_count, 1)),
          n_(n),
          followers_(index.alphabet().n_codes()),
          frames_(1) {
        if (n == 0) throw InvalidParameter("an n-gram has at least one token");
        frames_[0].ranges = index.everything();
        expand(frames_[0]);
        depth_ = 1;
    }

    // The next one, or false.
    [[nodiscard]] bool next() {
        while (depth_ != 0) {
            if (depth_ == frames_.size() && depth_ != n_) frames_.emplace_back();
            Frame& frame = frames_[depth_ - 1];
            if (frame.at == frame.followers.size()) {
                --depth_;
                continue;
            }
            const Follower follower = frame.followers[frame.at++];
            codes_.resize(depth_ - 1);
            codes_.push_back(follower.code);
            if (is_out(follower.count)) continue;
            if (depth_ == n_) {
                count_ = follower.count;
                return true;
            }
            extend(frame, follower.code, frames_[depth_].ranges);
            expand(frames_[depth_]);
            ++depth_;
        }
        return false;
    }

    [[nodiscard]] std::span<const std::uint32_t> codes() const noexcept { return codes_; }
    [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
    // Its rows.
    [[nodiscard]] std::vector<Range> ranges() const {
        std::vector<Range> ranges;
        extend(frames_.back(), codes_.back(), ranges);
        return ranges;
    }

    // From now on: often ones first, and none that occurs less often than this, or just as often
    // and has higher codes.
    void leave_out(std::uint64_t count, std::vector<std::uint32_t> codes) {
        least_ = count;
        last_ = std::move(codes);
    }
    void often_first() {
        is_often_first_ = true;
        for (std::size_t i = 0; i < depth_; ++i) sort(frames_[i]);
    }

private:
    struct Follower {
        std::uint32_t code;
        std::uint64_t count;
    };
    struct Frame {
        std::vector<Range> ranges;  // of the context, one a shard
        std::vector<Follower> followers;
        std::size_t at = 0;
    };

    // Whether what begins with the codes so far, and occurs so often, was left out.
    [[nodiscard]] bool is_out(std::uint64_t count) const {
        if (count != least_ || last_.empty()) return count < least_;
        return std::ranges::lexicographical_compare(std::span(last_).first(codes_.size()), codes_);
    }

    void expand(Frame& frame) {
        frame.followers.clear();
        frame.at = 0;
        followers_.clear();
        for (std::size_t s = 0; s < frame.ranges.size(); ++s)
            if (!frame.ranges[s].empty()) followers_.add(index_->shards()[s], frame.ranges[s]);
        for (const std::uint32_t code : followers_.codes())
            if (code != boundary && followers_[code] >= least_)
                frame.followers.push_back({code, followers_[code]});
        if (is_often_first_) sort(frame);
    }

    static void sort(Frame& frame) {
        std::stable_sort(frame.followers.begin() + static_cast<std::ptrdiff_t>(frame.at),
                         frame.followers.end(),
                         [](const Follower& a, const Follower& b) { return a.count > b.count; });
    }

    void extend(const Frame& frame, std::uint32_t code, std::vector<Range>& images) const {
        images.resize(frame.ranges.size());
        for (std::size_t s = 0; s < images.size(); ++s)
            images[s] = frame.ranges[s].empty() ? Range{}
                                                : index_->shards()[s].extend(frame.ranges[s], code);
    }

    const Index<Code>* index_;
    std::uint64_t least_;
    std::uint32_t n_;
    std::vector<std::uint32_t> last_;  // of those that occur least often, the last one; or nothing
    bool is_often_first_ = false;
    Histogram followers_;
    std::vector<Frame> frames_;  // of the contexts of 0, 1, ... tokens
    std::vector<std::uint32_t> codes_;
    std::size_t depth_ = 0;  // frames that are open
    std::uint64_t count_ = 0;
};

// N-grams one after another, as arrays of Python have them.
struct Ngrams {
    std::vector<std::uint32_t> token_ids;  // n each
    std::vector<std::int64_t> counts;
    std::vector<std::int64_t> documents;  // in how many they occur, if that was asked for
};

// A walk whatever the width of codes.
class NgramReader {
public:
    NgramReader() = default;
    NgramReader(const NgramReader&) = delete;
    NgramReader& operator=(const NgramReader&) = delete;
    virtual ~NgramReader() = default;

    // Up to `most` more; none at the end.
    [[nodiscard]] virtual Ngrams read(std::size_t most) = 0;
    // Of all that were not read yet, those that occur most often, up to `most`: by falling count,
    // equal ones by rising codes. Ends the walk. Memory: O(most).
    [[nodiscard]] virtual Ngrams most_frequent(std::size_t most) = 0;
};

template <class Code>
class NgramReaderOf final : public NgramReader {
public:
    // documents: of each shard, or nothing if they are not to be counted.
    NgramReaderOf(Owner<Code> owner, std::uint32_t n, std::uint64_t min_count,
                  std::vector<Boundaries> documents)
        : owner_(std::move(owner)), walk_(owner_->index, n, min_count) {
        if (!documents.empty()) documents_.emplace(owner_->index.shards(), std::move(documents));
    }

    [[nodiscard]] Ngrams read(std::size_t most) override {
        Ngrams ngrams;
        while (ngrams.counts.size() < most && walk_.next())
            append(ngrams, walk_.codes(), walk_.count(), n_documents(walk_.ranges()));
        return ngrams;
    }

    [[nodiscard]] Ngrams most_frequent(std::size_t most) override {
        struct Found {
            std::uint64_t count;
            std::vector<std::uint32_t> codes;
        };
        const auto before = [](const Found& a, const Found& b) {
            return a.count != b.count ? a.count > b.count : a.codes < b.codes;
        };
        std::vector<Found> found;  // a heap, the last one on top
        walk_.often_first();
        while (most != 0 && walk_.next()) {
            if (found.size() == most) {
                std::ranges::pop_heap(found, before);
                found.pop_back();
            }
            const auto codes = walk_.codes();
            found.push_back({walk_.count(), {codes.begin(), codes.end()}});
            std::ranges::push_heap(found, before);
            if (found.size() == most) walk_.leave_out(found[0].count, found[0].codes);
        }
        std::ranges::sort_heap(found, before);
        Ngrams ngrams;
        for (const Found& each : found) append(ngrams, each.codes, each.count, documents_of(each));
        return ngrams;
    }

private:
    [[nodiscard]] std::int64_t n_documents(std::span<const Range> ranges) {
        return documents_ ? static_cast<std::int64_t>(documents_->count(ranges)) : 0;
    }
    template <class Found>
    [[nodiscard]] std::int64_t documents_of(const Found& found) {
        std::vector<Range> ranges;
        for (const auto& shard : owner_->index.shards()) ranges.push_back(shard.find(found.codes));
        return n_documents(ranges);
    }
    void append(Ngrams& ngrams, std::span<const std::uint32_t> codes, std::uint64_t count,
                std::int64_t n_documents) const {
        for (const std::uint32_t code : codes)
            ngrams.token_ids.push_back(owner_->index.alphabet().token_id(code));
        ngrams.counts.push_back(static_cast<std::int64_t>(count));
        if (documents_) ngrams.documents.push_back(n_documents);
    }

    Owner<Code> owner_;
    NgramWalk<Code> walk_;
    std::optional<DocumentCounter<Code>> documents_;
};

}  // namespace infgram
