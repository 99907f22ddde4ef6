"""The exceptions infgram raises, and nothing else.

    InfgramError
    ├── InputError            a corpus could not be read
    │   ├── EmptyCorpus         there is nothing to index
    │   ├── MalformedRecord     a JSON line, a Parquet column or a compressed stream is broken
    │   └── UndecodableText     bytes that are not UTF-8 where text is asked for
    ├── TokenError            a token id or a tokenizer does not fit (also a ValueError)
    │   ├── TokenOutOfRange     an id outside the vocabulary
    │   └── TokenizerUnavailable  the tokenizer is unknown, missing, or not the one of the index
    ├── StorageError          an index could not be written or opened
    │   ├── IndexExists         the target folder is taken
    │   ├── NotAnIndex          the path is not an infgram index
    │   ├── IndexReplaced       another build has taken the place of one that is open
    │   ├── RemoteFailure       a server with an index failed, hung, or cut an answer short
    │   ├── NotInPlace          asked where it lies, an index cannot tell this (an AttributeError)
    │   ├── UnsupportedFormat   made by another version of the format, or another byte order
    │   ├── CorruptIndex        a file of the index is torn, changed or inconsistent
    │   ├── NotTwoSided         what stands before a text was asked of an index that cannot tell
    │   ├── NeedsFastLayout     the compact layout of an index has not got what was asked of it
    │   ├── NeedsMerge          an index in segments cannot be asked this before they are merged
    │   ├── PartsDoNotFit       parts of a build are missing, double, or of different builds
    │   ├── NotASession         the file holds no session of a drafter
    │   └── NotARefiner         the file holds no refiner, or not all of one
    ├── DraftError            drafting was asked for out of turn
    │   ├── UnknownRequest      no request of that id is running (also a KeyError)
    │   ├── RequestExists       a request of that id is running already
    │   └── NothingProposed     there is no draft to accept
    ├── ContextNotFound       a context that never occurs has no probability (a LookupError)
    ├── RefinerMismatch       a refiner was trained for other tokens than the index has
    ├── WorkerLost            a worker of a cluster died, again and again
    ├── OutOfMemory           there is too little memory, here or on a device (a MemoryError)
    ├── InvalidParameter      an argument outside its range (also a ValueError)
    └── MissingExtra          an optional dependency is not installed (also an ImportError)

`CorpusWarning` is what whoever builds an index should know of the corpus, and no error:

    CorpusWarning
    ├── BadRecordSkipped      a broken record was left out, because the caller asked for that
    ├── FilesSkipped          files of a folder were left out: binaries, what .gitignore names
    ├── NotUnicode            text that is not UTF-8 was kept as the bytes it is
    ├── ReadAsText            a file of records has none of the field, and was read as plain text
    └── UnknownTokens         the tokenizer has no token for some of the text

Every message says what was found, what was expected and what to do next.
"""

from __future__ import annotations


class InfgramError(Exception):
    """Base of everything infgram raises on purpose."""


class InputError(InfgramError):
    """A corpus could not be read."""


class EmptyCorpus(InputError):
    """There is nothing to index: no document holds a token."""


class MalformedRecord(InputError):
    """A record of a corpus is broken: a JSON line, a Parquet column, a compressed stream."""


class UndecodableText(InputError):
    """Bytes that are not UTF-8 where a tokenizer needs text."""


class TokenError(InfgramError, ValueError):
    """A token id or a tokenizer does not fit."""


class TokenOutOfRange(TokenError):
    """A token id is negative or not below the vocabulary size."""


class TokenizerUnavailable(TokenError):
    """A tokenizer is unknown, cannot be loaded, or is not the one the index was built with."""


class StorageError(InfgramError):
    """An index could not be written or opened."""


class IndexExists(StorageError):
    """The folder to build into is already taken."""


class NotAnIndex(StorageError):
    """The path does not hold an infgram index."""


class IndexReplaced(StorageError):
    """Another build has taken the place of one that is open: nothing can be kept beside it."""


class RemoteFailure(StorageError):
    """A server that has an index failed, did not answer in time, or sent less than it should."""


class NotInPlace(StorageError, AttributeError):
    """An index that is asked where it lies cannot tell this: it has to be pulled."""


class UnsupportedFormat(StorageError):
    """The index was made by another version of the format or for another byte order."""


class CorruptIndex(StorageError):
    """A file of the index is missing, torn, changed or inconsistent with the others."""


class NotTwoSided(StorageError):
    """The index does not hold its text read backwards."""


class NeedsFastLayout(StorageError):
    """What was asked needs a column that the compact layout of this index has not got.

    `infgram convert` makes an index of the fast layout of it.
    """


class PartsDoNotFit(StorageError):
    """Parts that are to be joined are missing, double, or of different builds."""


class NeedsMerge(StorageError):
    """What was asked cannot be told of an index that has grown, as long as it is in segments.

    `infgram merge --purge` makes one of them.
    """


class NotASession(StorageError):
    """The file does not hold the session of a drafter."""


class NotARefiner(StorageError):
    """The file does not hold a refiner, or not all of one."""


class DraftError(InfgramError):
    """Drafting was asked for out of turn."""


class UnknownRequest(DraftError, KeyError):
    """No request of that id is running."""

    __str__ = Exception.__str__  # KeyError shows its message in quotes


class RequestExists(DraftError):
    """A request of that id is running already."""


class NothingProposed(DraftError):
    """There is no draft to accept."""


class ContextNotFound(InfgramError, LookupError):
    """A probability was asked after a context that never occurs in the corpus."""


class RefinerMismatch(InfgramError):
    """A refiner was trained for other tokens than the index has."""


class WorkerLost(InfgramError):
    """A worker of a cluster died, was started again, and died again, or its machine is gone."""


class OutOfMemory(InfgramError, MemoryError):
    """There is too little memory for what was asked, in this process or on a device."""


class InvalidParameter(InfgramError, ValueError):
    """An argument is outside its range."""


class MissingExtra(InfgramError, ImportError):
    """An optional dependency is not installed; the message names the extra."""


class CorpusWarning(UserWarning):
    """Something that whoever builds an index should know of the corpus."""


class BadRecordSkipped(CorpusWarning):
    """A broken record of a corpus was left out of the index, as `skip_bad` asks."""


class UnknownTokens(CorpusWarning):
    """Some text of a corpus has no token of its own, and became the tokenizer's unknown one."""


class FilesSkipped(CorpusWarning):
    """Files of a folder were left out: binaries, what .gitignore names, what was excluded."""

    def __init__(self, message: str, n_files: int = 0) -> None:
        super().__init__(message)
        self.n_files = n_files


class NotUnicode(CorpusWarning):
    """Text that is not UTF-8 was kept as the bytes it is: what is typed may not match it."""


class ReadAsText(CorpusWarning):
    """A file of records in a folder has no record with the text field: it was read as text."""
